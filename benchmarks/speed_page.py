"""The page docs/benchmarks.md from what `benchmarks/speed.py` measured."""

from math import exp, log

OURS = "ours, resident"
GOAL = 1.3  # of the ratios' geometric mean, on two cores; none of them below 1


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def named(row: dict) -> str:
    return f"{row['method']} {row['size']} px"


def rates(rows: list[dict]) -> str:
    sides = list(rows[0]["torch"])
    body = []
    for row in rows:
        theirs = [f"{row['torch'][side]:,.0f}" for side in sides]
        spread = f"{row['ratio_least']:.2f} to {row['ratio_most']:.2f}"
        body.append([named(row), f"{row['rate']:,.0f}", *theirs, f"**{row['ratio']:.2f}**", spread, row["commit"]])
    return table(["", "ours", *sides, "ratio", "least to most", "at commit"], body)


def costs(rows: list[dict]) -> str:
    header = ["", "parameters", "MFLOP an image", "share of matmul peak"]
    header += ["first 18 steps, s", "fastest torch, s", "peak MB", "fastest torch, MB"]
    body = []
    for row in rows:
        both = (OURS, row["best"])
        work = [f"{row['parameters']:,}", f"{row['flops_per_image'] / 1e6:,.0f}", f"{row['share_of_peak']:.0%}"]
        start = [f"{row['compile_s'][side]:.1f}" for side in both]
        body.append([named(row), *work, *start, *(f"{row['peak_mb'][side]:,}" for side in both)])
    return table(header, body)


def feeds(rows: list[dict]) -> str:
    body = [[named(r), *(f"{v:,.0f}" for v in r["rates"].values()), f"{r['resident_share']:.3f}"] for r in rows]
    return table(["", "constant", "resident", "stream", "resident / constant"], body)


def draws(rows: list[dict]) -> str:
    header = ["", "1 picture, p50", "p95", "64 pictures, p50", "p95", "images/s"]
    header += ["fastest torch, 1 picture", "64 pictures", "ratio at 1", "at 64"]
    body = []
    for row in rows:
        sampler, steps, _ = row["way"]
        name = named(row) if sampler == "-" else f"{named(row)}, {sampler} {steps}"
        mine = row["seconds"][OURS]
        best = {n: min(by[n]["p50"] for side, by in row["seconds"].items() if side != OURS) for n in mine}
        times = [f"{mine[n][part]:.4f}" for n in mine for part in ("p50", "p95")]
        ratios = [f"**{best[n] / mine[n]['p50']:.2f}**" for n in mine]
        speed = f"{64 / mine['64']['p50']:,.0f}"
        body.append([name, *times, speed, *(f"{best[n]:.4f}" for n in mine), *ratios])
    return table(header, body)


def starts(found: dict) -> str:
    more = found["package"] - found["jax"]
    return f"""`import jax` takes {found["jax"]:.2f} s in a fresh interpreter, `import prodgen_jax, prodgen_jax.cli`
{found["package"]:.2f} s: {f"{more:.2f} s more" if more > 0 else "no more"}. Medians of runs in turns."""


def held(rows: list[dict]) -> str:
    body = [[f"{named(r)}, batch {r['batch']}", *(f"{mb:,.0f}" for mb in r["mb"].values())] for r in rows]
    return table(["", *rows[0]["mb"]], body)


LOADER = "Images/s of the same step on one constant batch, on the resident route and on the stream route."
SAMPLING = """Seconds of a warm call of the compiled sampler, of which the ones of 64 pictures give images/s. PyTorch's
sides took turns with it; they draw by DDIM with as many evaluations of the network as the sampler has (Heun's rule has
two a step, but for the last). The fastest of them is chosen for each column; a ratio above 1 is to our favor."""
MEMORY = """MB of temporaries in a compiled training step, beside parameters, optimizer and batch, as XLA lays them
out. `remat` computes each block again for its gradient; `accumulate=4` plays the batch in four parts."""
WHY = """What a profile of whole steps shows is not the convolutions: each of the U-Net's, taken alone, and its two
gradients take XLA on CPU about as long as PyTorch. It is what lies between them. XLA merges element-wise work into each
operation that reads the result, and computes it anew for each reader; a convolution's gradient was computed three
times, exponentials and all: for the bias, for the kernel and for the input. `settled` in `nets/layers.py` ends that
with optimization barriers, which XLA on CPU drops by a pass of its own (`cse_barrier_expander`) unless that pass is
left out (`training/compiler.py`). And it is the system: a step's temporaries are one large array, taken anew each time
and handed over in pages of 4 KiB; commands ask for pages of 2 MiB (`cli/huge_pages.py`; GLIBC_TUNABLES in front of a
notebook server, as `make lab` has it). All sides have them here, PyTorch as well.

At 64 px two more things cost most. XLA takes the gradient of a stride, and a transposed convolution, as a convolution
of a map with zeros between its pixels, and multiplies the zeros: where the stride divides kernel and map, the package
takes squares of pixels as single ones, and no stride is left (`nets/patches.py`). The U-Net works on squares of 2 x 2
pixels from the start (`patch=2`). And attention reads and writes its scores, places x places, many times: they are
summed by the product with the values, and never turned over (`nets/attention.py`).

What else helped, and is in the package: kernel gradients of transposed convolutions as the strided one's; GroupNorm by
sums, and biases' gradients, as products with ones; 1 x 1 convolutions and dense layers as products of matrices, whose
gradients need nothing turned over; written-out gradients for normalization and what follows it (it keeps the map in
front of it and computes the rest again); steps compiled ahead (pmap's own dispatch is slow); no YNNPACK.

What a ratio below 1 is owed to, where the network is one of convolutions (a DCGAN, VAE and U-Net at 64 px): XLA takes a
kernel's gradient as a convolution in which pictures and channels change places, and turns both maps over for it. In a
profile of a DCGAN's and a VAE's step (`jax.profiler`) that is the largest cost beside the convolutions themselves.

What was tried and brought nothing, or not enough: kernel gradients as nine matrix products over shifted maps, as three
over rows, as one over a flat map, and with the input turned over by a product with the identity; the same with the
narrower of both maps turned over (a few percent of a U-Net's step, but by a rule that R1's forward derivative cannot
pass); attention picture by picture, so that its scores stay in the cache; minimal filtering (Winograd, F(2 x 2, 3 x
3)); XLA's own oneDNN; wider vectors; another scheduler; two steps unrolled in one dispatch; malloc that never gives
memory back. oneDNN itself is on PyPI and could be called without a compiler on the user's machine, but its only builds
are Intel's for SYCL, which bring more run-time libraries than all else here. One optimizer over all parameters as one
vector (`optax.flatten`) takes some percent off a U-Net's step and changes the form of every checkpoint: left for later.

Of the transformer's step the largest part outside the matrix products is heads of attention turned over. Copies of all
donated parameters, moments and averages were made in every step, since XLA computed what is stored a second time where
it is used: they are gone where the state is settled at both ends of the step (`training/parallel.py`). torch.compile
merges more of the element-wise work. A gradient of GELU that is written out brought nothing."""
SHORT = """A size or a part that is missing here was not measured: a run that is ended early leaves the rows that it
has. No GPU was at hand: there is no figure of one. A TPU was never used; `tests/training/test_lowering.py` lowers each
step and sampler for both. PyTorch has its waiting threads passive, both memory formats, and torch.compile; with another
number of cores its lead or lag is another."""


def mean_ratio(rows: list[dict]) -> float:
    return exp(sum(log(row["ratio"]) for row in rows) / len(rows))


def missed(rows: list[dict]) -> str:
    """What of the goal is not met."""
    slower, mean = [f"{named(row)} ({row['ratio']:.2f})" for row in rows if row["ratio"] < 1], mean_ratio(rows)
    found = [f"a mean of {GOAL}, which is {mean:.2f}"] if mean < GOAL else []
    found += ["no ratio below 1, as that of " + ", ".join(slower)] if slower else []
    if not found:
        return "The goal on two cores is met."
    wanted = {named(row): GOAL * row["share_of_peak"] / row["ratio"] for row in rows}
    least, most = min(wanted, key=wanted.get), max(wanted, key=wanted.get)
    return (
        f"Of the goal on two cores is not met: {'; '.join(found)}. For {GOAL} times PyTorch's rate, whole steps would "
        f"have to run at {wanted[least]:.0%} ({least}) to {wanted[most]:.0%} ({most}) of what this machine does in "
        "bare products of large matrices, with all that lies between the products."
    )


def page(found: dict) -> str:
    speed, machine = found["speed"], found["machine"]
    versions = speed[0]["versions"]
    rest = [
        ("Loader", LOADER, feeds, "loader"),
        ("Sampling", SAMPLING, draws, "sampling"),
        ("Memory", MEMORY, held, "memory"),
    ]
    sections = [f"## {title}\n\n{text}\n\n{made(found[key])}\n" for title, text, made, key in rest if found[key]]
    return f"""# Benchmarks

Made by `make bench` (`benchmarks/speed.py`); every number on this page is its output, and all of it is in
[benchmarks.json](benchmarks.json).
{machine["cores"]} CPU cores, python {machine["python"]}, jax {versions[OURS]}, torch {versions["torch eager"]}.

## Training steps

Whole steps (batch, forward, backward, Adam, running average) in images/s: the median of {machine["rounds"]} rounds in
which all sides take turns, each after two steps that are not counted. The ratio is to the fastest PyTorch side, taken
within a round. Its geometric mean is **{mean_ratio(speed):.2f}**.

{rates(speed)}

{costs(speed)}

{WHY}

{chr(10).join(sections)}
## Start

{starts(found["import"])}

## Falls short

{missed(speed)}

{SHORT}
"""
