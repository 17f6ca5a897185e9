"""Writes docs/results/diffusion.md, its sheet and numbers, and the latent diffusion that comes with the package, with
its card, from what `benchmarks/diffusion.sh` left.

python benchmarks/diffusion_page.py PREPARED_SET WORK --out docs/results
"""

import json
import os
import platform
from collections import defaultdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from families_page import COLUMNS, HEAD, draw_sheet, page_parser, price, quality
from family_models import MODELS, card

from prodgen_jax import evaluate, open_prepared, open_run, sample
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.bits import bits_report
from prodgen_jax.evaluation.compare import SHOWN, summarize
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.paired import psnr
from prodgen_jax.evaluation.runs import evaluate_run
from prodgen_jax.methods.denoiser import CHAIN
from prodgen_jax.methods.latent import Autoencoder
from prodgen_jax.training.run import Run, export

NAMED = "latent32"
PARTS = ("long", "short")
SAID = """A latent diffusion for 32 px product photos, of a type and a color if they are named:
`prodgen sample pretrained:latent32 --where articleType=Watches -n 64 --out sheet.png`.
Its autoencoder says a photo in 8 x 8 places, its denoiser draws what such maps look like."""
BESIDE = (
    "diffusers' UNet2D of {parameters:,} parameters (DDPM here: {ddpm:,}; latent, both stages: {latent:,}) by its own "
    "tutorial (torch {torch}, diffusers {diffusers}; averaged weights, 50 steps of DDIM), as many minutes on the same "
    "core, measured like all others. It reads single pixels where the networks here read patches of 2 x 2, so it has "
    "seen fewer photos; and epsilon leaves a white ground grey. What it reaches with such patches, a velocity target "
    "and a cosine schedule stands in [twenty.md](twenty.md)."
)
LIMITS = (
    "Its autoencoder softens all that is fine, so its pictures are softer than a pixel model's. It knows one shop's "
    "photos at 32 px.",
    "It is here to be taken apart in a notebook: for pictures take pretrained:fashion32 or pretrained:stylegan32.",
)
BITS = (
    "The bits for each number of {photos} held-out photos, 8 as they are, by the bound of the chain that ancestral "
    "sampling walks in at most {steps} steps (Ho 2020, eq. 5), with the 95 % interval over photos; fashion32 is told "
    "all that the table says. cvae32 and vqvae32, which learned to make such bits few, pay for the same photos by "
    "their own bounds. A denoiser's loss does not ask for bits: it counts little of what happens where there is "
    "hardly any noise, and there most of them are spent."
)
CEILING = (
    "{n:,} held-out photos through the autoencoders and back, measured against themselves, so that 0 and 1 are nothing "
    "lost; a photo's {whole:,} numbers become {codes:,}."
)


def rebuilt(run: Run, images: np.ndarray) -> np.ndarray:
    coder, params = Autoencoder(run.recipe.method, run.spec), run.params
    through = jax.jit(lambda x: coder.decode(params, coder.encode(params, to_signed(x))[0])[0])
    return to_uint8(np.asarray(through(jnp.asarray(images))))


def run_of(place: Path, file: Path) -> Path:
    """The run that a record of a comparison is of."""
    stem, seed = file.stem.rsplit("-", 1)
    return place / "runs" / "time" / stem / seed


def trials(place: Path) -> dict:
    """{method: its measures over seeds}, of all methods that a comparison's folder holds."""
    rows = defaultdict(list)
    for file in sorted((place / "records" / "time").glob("*.json")):
        rows[file.stem.split("-")[0]].append(json.loads(file.read_text()))
    return summarize(rows, place / "runs" / "time")


def beside(work: Path, methods: dict) -> list[str]:
    """The section of the peer, where there is one."""
    if not (work / "peer" / "diffusers.json").exists():
        return []
    peer = json.loads((work / "peer" / "diffusers.json").read_text())
    found = json.loads((work / "peer" / "diffusers.record.json").read_text())["samples"]
    sizes = {name: methods[name]["parameters"] for name in ("ddpm", "latent")}
    row = ["diffusers", *(f"{found[key]:.3g}" for key in SHOWN.values()), f"{peer['steps']:,}"]
    row += [f"{peer['seconds']:.0f}", f"{peer['sample_images_per_s']:.3g}"]
    table = markdown(["samples of", *SHOWN, "steps", "s", "samples/s"], [row])
    return ["## Beside diffusers", "", BESIDE.format(**peer | sizes), "", table, ""]


def ceiling(runs: dict[str, Run], prepared: PreparedSet) -> dict:
    """{name: measures of held-out photos that went through a run's autoencoder}, and of the photos themselves."""
    photos = np.asarray(prepared.split("test").images)
    found = {}
    for name, images in {"photos": photos, **{name: rebuilt(run, photos) for name, run in runs.items()}}.items():
        measured = evaluate(images, prepared)["samples"]
        found[name] = {key: measured[key] for key in SHOWN.values()}
        if images is not photos:
            found[name]["psnr"] = float(psnr(photos, images).mean())
    return found


def bits(runs: dict[str, Run], prepared: PreparedSet, kept: Path) -> dict[str, dict]:
    """{name: what photos cost by a run that gives them a probability}, kept as a file."""
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for name, run in runs.items():
        if run.method.bits is not None and name not in found:
            found[name] = bits_report(run, prepared)
            kept.write_text(json.dumps(found))
    return found


def main() -> None:
    args = page_parser(__doc__).parse_args()
    prepared, work, place = open_prepared(args.data), args.work, args.out / "diffusion"
    place.mkdir(parents=True, exist_ok=True)
    minutes = [
        (json.loads((work / part / "compare.json").read_text())["minutes"], trials(work / part)) for part in PARTS
    ]
    files = sorted((work / "long" / "records" / "time").glob("*-0.json"))
    of = {file.stem.split("-")[0]: open_run(run_of(work / "long", file)) for file in files}
    one = json.loads(files[0].read_text())
    longer = open_run(work / NAMED)
    if not (work / "latent32.json").exists():
        (work / "latent32.json").write_text(json.dumps(evaluate_run(longer, prepared, n=1000, name=NAMED)[0]))
    (MODELS / f"{NAMED}.safetensors").unlink(missing_ok=True)
    export(longer, MODELS / f"{NAMED}.safetensors")
    card(NAMED, longer, json.loads((work / "latent32.json").read_text()), SAID, LIMITS, "diffusion.sh", "diffusion.md")
    kept = ceiling({f"{of['latent'].recipe.method.first_stage:,} steps": of["latent"], NAMED: longer}, prepared)
    told = {f"pretrained:{name}": open_run(f"pretrained:{name}") for name in ("fashion32", "cvae32", "vqvae32")}
    cost = bits({**of, **told}, prepared, work / "bits.json")
    found = {"minutes": minutes, "autoencoder": kept, "bits": cost}
    (place / "compare.json").write_text(json.dumps(found, indent=1))
    rows = {}
    for name, run in sorted(of.items()):
        rows[f"{name}, {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
    draw_sheet(rows, place / "samples.png")
    coder, whole = Autoencoder(longer.recipe.method, longer.spec), 3 * prepared.size**2
    said = HEAD.replace("families.sh", "diffusion.sh").format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, train=prepared.splits["train"],
        size=prepared.size, test=prepared.splits["test"], floor=one["floor"]["fcd"],
    )  # fmt: skip
    table = [[name, *(f"{at[key]:.3g}" for key in SHOWN.values()), f"{at['psnr']:.1f}" if "psnr" in at else ""]
             for name, at in kept.items()]  # fmt: skip
    text = ["# Diffusion over pixels and over codes, within the same minutes", "", said, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    for length, methods in minutes:
        text += [f"## {length:g} minutes of training each", "", quality(methods, one), "", price(methods), ""]
    text += [*beside(work, minutes[0][1]), "## What the autoencoder keeps", ""]
    text += [CEILING.format(n=prepared.splits["test"], whole=whole, codes=int(np.prod(coder.shape))), ""]
    text += [markdown(["through", *SHOWN, "PSNR, dB"], table), ""]
    rows = [[name, f"{at['mean']:.3f} ± {at['half']:.3f}"] for name, at in sorted(cost.items())]
    text += ["## What photos cost", "", BITS.format(**next(iter(cost.values())), steps=CHAIN), ""]
    text += [markdown(["", "bits per number"], rows), ""]
    text += ["## Samples", "", "![samples of each method](diffusion/samples.png)", ""]
    (args.out / "diffusion.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
