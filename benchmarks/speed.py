"""Training steps and samples of this package and of PyTorch, taking turns on the same machine: `make bench`.

    python benchmarks/speed.py --torch .venv-torch/bin/python --out docs/benchmarks.md

For each family and size, one process for each side stays loaded; in every round each plays its steps while the
others wait. A ratio is taken within a round, so that what slows the machine for a while slows both sides. A turn begins
with what is not counted: memory that a side gave back after its last turn comes slowly at first, the more so on a
virtual machine, which hands free memory on. Nothing else should run. All have huge pages
(`prodgen_jax/cli/huge_pages.py`). With `--update steps` or `--update loader` only those rows of the given methods and
sizes are measured anew, and the page keeps what else it holds.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from speed_page import OURS, page

from prodgen_jax.cli.huge_pages import with_huge_pages

HERE = Path(__file__).parent
BATCH = {"dcgan": 64, "vae": 64, "ddpm": 32, "dit": 32}  # dit: a ddpm with that network
SIDES = {
    "torch eager": ["--mode", "eager"],
    "torch eager, channels_last": ["--mode", "eager", "--layout", "channels_last"],
    "torch.compile": ["--mode", "compile"],
    "torch.compile, channels_last": ["--mode", "compile", "--layout", "channels_last"],
}
ONCE = (("-", 0, 1),)  # one evaluation makes a picture
DRAWN = {  # (sampler, its steps, evaluations of the network)
    "dcgan": ONCE,
    "vae": ONCE,
    "ddpm": (("ddim", 18, 18), ("dpmpp2m", 18, 18), ("heun", 9, 17), ("ancestral", 18, 18)),
    "dit": (("dpmpp2m", 18, 18),),
}
CALLS = {1: 4, 64: 1}  # {pictures of a call: calls in each round}
UNCOUNTED = 2  # steps at the start of each turn

STARTS = {"jax": "import jax", "package": "import prodgen_jax, prodgen_jax.cli"}


class Worker:
    """A process that plays steps when told. What it says on stderr is kept for when it fails."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.facts = self.hear()

    def hear(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended:\n{self.process.stderr.read()[-2000:]}")
        return json.loads(line)

    def ask(self, what: str) -> dict:
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.hear()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def ours(method: str, size: int, feed: str = "resident") -> Worker:
    command = [sys.executable, str(HERE / "speed_jax.py"), method, f"--size={size}", f"--batch={BATCH[method]}"]
    return Worker(f"ours, {feed}", [*command, f"--feed={feed}"])


def theirs(python: str, method: str, size: int, side: str, device: str) -> Worker:
    command = [python, str(HERE / "speed_torch.py"), method, f"--size={size}", f"--batch={BATCH[method]}"]
    return Worker(side, [*command, *SIDES[side], f"--device={device}"])


def sides(args: argparse.Namespace, method: str, size: int) -> list[Worker]:
    """This package first, then every side of PyTorch."""
    return [ours(method, size), *(theirs(args.torch, method, size, side, args.device) for side in SIDES)]


def turns(workers: list[Worker], batch: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """{side: images/s in each round}. Each turn lasts about `seconds`."""
    counts = {w.name: max(2, round(seconds * 8 / w.ask("8")["seconds"])) for w in workers}
    rates = {w.name: [] for w in workers}
    for i in range(rounds):
        for worker in workers if i % 2 == 0 else workers[::-1]:
            n = counts[worker.name]
            worker.ask(str(UNCOUNTED))
            rates[worker.name].append(n * batch / worker.ask(str(n))["seconds"])
    return rates


def against_torch(args: argparse.Namespace, workers: list[Worker], method: str, size: int) -> dict:
    """One row of the table: our rate, each side's, and the ratio to the fastest of them, round by round."""
    mine = workers[0]
    parameters = {w.name: w.facts["parameters"] for w in workers}
    if max(parameters.values()) > 1.01 * min(parameters.values()):
        raise SystemExit(f"{method}: the networks differ in size: {parameters}")
    rates = turns(workers, BATCH[method], args.rounds, args.seconds)
    best = max(SIDES, key=lambda side: median(rates[side]))
    ratios = [a / b for a, b in zip(rates[mine.name], rates[best], strict=True)]
    flops, peak = mine.ask("flops")["flops"], mine.ask("matmul")["matmul"]
    rate, ratio = median(rates[mine.name]), median(ratios)
    print(f"{method} {size} px: {rate:,.0f} images/s, {ratio:.2f} x {best}", flush=True)
    return {
        "commit": commit(),
        "method": method, "size": size, "batch": BATCH[method], "parameters": parameters[mine.name],
        "rate": rate, "torch": {side: median(rates[side]) for side in SIDES}, "best": best,
        "ratio": ratio, "ratio_least": min(ratios), "ratio_most": max(ratios), "rates": rates,
        "compile_s": {w.name: w.facts["compile_s"] for w in workers},
        "flops_per_image": flops / BATCH[method], "share_of_peak": flops / BATCH[method] * rate / peak,
        "matmul_peak": peak, "peak_mb": {w.name: w.ask("peak")["peak_mb"] for w in workers},
        "versions": {w.name: w.facts["version"] for w in workers},
    }  # fmt: skip


def commit(*path: str) -> str:
    """The commit that is checked out, or the last one that changed a path."""
    command = ["git", "log", "-1", "--format=%h", *path]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()


def loader(args: argparse.Namespace, method: str, size: int) -> dict:
    """Resident and stream route beside the same step on one constant batch, in turns; many, for 3 % to be seen."""
    workers = [ours(method, size, feed) for feed in ("constant", "resident", "stream")]
    rates = turns(workers, BATCH[method], 4 * args.rounds, args.seconds)
    for worker in workers:
        worker.end()
    middle = {name: median(values) for name, values in rates.items()}
    share = median(a / b for a, b in zip(rates[OURS], rates["ours, constant"], strict=True))
    return {"commit": commit(), "method": method, "size": size, "rates": middle, "resident_share": share}


def sampling(args: argparse.Namespace, workers: list[Worker], method: str, size: int) -> list[dict]:
    """A row for each sampler: seconds of a warm call on every side, by pictures of the call; all sides take turns.

    PyTorch's sides have DDIM with as many evaluations: a rule costs nothing beside the network.
    """
    rows = []
    for way in DRAWN[method]:
        seconds = {w.name: {n: [] for n in CALLS} for w in workers}
        for n, calls in CALLS.items():
            for worker in workers:
                worker.ask(f"draw {n} 2 {words(way)}")  # compiles
            for i in range(args.rounds):
                for worker in workers if i % 2 == 0 else workers[::-1]:
                    _, *warm = worker.ask(f"draw {n} {1 + calls} {words(way)}")["latencies"]
                    seconds[worker.name][n] += warm
        found = {name: {str(n): at(times) for n, times in by.items()} for name, by in seconds.items()}
        rows.append({"method": method, "size": size, "way": way, "seconds": found})
    return rows


def words(way: tuple) -> str:
    return " ".join(map(str, way))


def at(times: list[float]) -> dict[str, float]:
    """Half and 95 % of the calls took no longer."""
    times = sorted(times)
    return {"p50": median(times), "p95": times[min(len(times) - 1, round(0.95 * len(times)))]}


def importing(runs: int = 5) -> dict[str, float]:
    """Median seconds of a fresh interpreter that imports jax alone, and the package with its command line, in turns."""
    times = {name: [] for name in STARTS}
    for i in range(runs + 1):  # the first of each fills the system's file cache and is left out
        for name in sorted(STARTS, reverse=i % 2 == 1):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", STARTS[name]], check=True)
            times[name].append(time.perf_counter() - begun)
    return {name: median(values[1:]) for name, values in times.items()}


def memory(method: str, size: int, batch: int) -> dict:
    """MB of a compiled training step's temporaries, plain and with what saves them. Nothing is trained."""
    command = [sys.executable, str(HERE / "speed_jax.py"), method, f"--size={size}", f"--batch={batch}", "--memory"]
    return {"method": method, "size": size, "batch": batch, "mb": Worker("memory", command).facts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", required=True, help="python of an environment with torch")
    parser.add_argument("--out", type=Path, required=True, help="FILE.md; FILE.json is written beside it")
    parser.add_argument("--methods", default=",".join(BATCH))
    parser.add_argument("--sizes", default="32,64")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="length of one turn")
    parser.add_argument("--device", default="cpu", help="of the PyTorch sides")
    parser.add_argument("--update", choices=("steps", "loader"), help="only these rows; keep what else the page holds")
    args = parser.parse_args()
    with_huge_pages()
    methods, sizes = args.methods.split(","), [int(size) for size in args.sizes.split(",")]
    if args.update:
        return update(args, methods, sizes)
    found = {"machine": {"cores": os.cpu_count(), "python": platform.python_version(), "rounds": args.rounds}}
    found |= {"import": importing(), "speed": [], "loader": [], "sampling": [], "memory": []}
    print("import: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["import"].items()), flush=True)
    for size in sizes:
        for method in methods:
            workers = sides(args, method, size)
            found["speed"].append(against_torch(args, workers, method, size))
            if size == sizes[0]:
                found["sampling"] += sampling(args, workers, method, size)
            for worker in workers:
                worker.end()
            write(args.out, found)
        for method in methods if size == sizes[0] else []:
            found["loader"].append(loader(args, method, size))
            write(args.out, found)
    found["memory"] = [memory(method, 64, 64) for method in methods if method in ("ddpm", "dit")]
    write(args.out, found)


def update(args: argparse.Namespace, methods: list[str], sizes: list[int]) -> None:
    """Measures these rows of one table in the place of those that FILE.json holds."""
    source, table = args.out.with_suffix(".json"), {"steps": "speed", "loader": "loader"}[args.update]
    found, before = json.loads(source.read_text(encoding="utf-8")), commit("--", str(source.resolve()))
    rows = {(row["method"], row["size"]): {"commit": before} | row for row in found[table]}
    for size, method in ((size, method) for size in sizes for method in methods):
        rows[method, size] = measured(args, method, size)
        write(args.out, found | {table: list(rows.values())})


def measured(args: argparse.Namespace, method: str, size: int) -> dict:
    """A row of the table that is to be updated."""
    if args.update == "loader":
        return loader(args, method, size)
    workers = sides(args, method, size)
    row = against_torch(args, workers, method, size)
    for worker in workers:
        worker.end()
    return row


def write(out: Path, found: dict) -> None:
    """What was measured so far, so that a run that is ended has its rows."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    out.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
