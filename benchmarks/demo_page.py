"""Ships what `benchmarks/demo.sh` left, with cards, and writes docs/results/demo.md with its sheets.

python benchmarks/demo_page.py PREPARED_SET WORK --out docs/results
"""

import json
import os
import platform
import shutil
from pathlib import Path

import jax
from families_page import COLUMNS, ENDS, MEASURES, draw_sheet, page_parser
from family_models import MODELS, card

from prodgen_jax import open_prepared, open_run, sample
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.runs import evaluate_run
from prodgen_jax.evaluation.tables import plain
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.run import Run, export

SAID = {
    "dcgan": "A DCGAN that draws the demo shop's goods at 32 px; notebook 20 looks into it.",
    "vae": "A VAE that encodes and draws the demo shop's goods at 32 px; notebook 30 looks into it.",
    "ddpm": "A DDPM that draws the demo shop's goods at 32 px; notebook 40 looks into it.",
    "cgan": "A conditional GAN that draws the demo shop's goods at 32 px, of a type and a color if they are named:\n"
    "`prodgen sample pretrained:demo_cgan32 --where type=mug --where colour=red -n 64 --out sheet.png`;\n"
    "notebook 72 asks how well it obeys.",
}
LIMITS = ("The demo shop's goods are drawn by a program: it is here to be taken apart in a notebook.",)
SHOP = "the package's own demo shop"
SHEETS = (100, 500, 2000)  # steps after which the DDPM's sheets are kept, beside the last
HEAD = (
    "Made by `benchmarks/demo.sh WORK`; every number here is its output. Two models at a time, one core each of "
    "{cores}, python {python}, jax {jax}. The demo shop: {train:,} training photos at {size} px, 1,000 samples of each "
    "model measured against {test:,} held-out photos. The settings are those that each method has by default, one seed "
    "each, and the times differ: this page says what the shipped models are, not which family wins. cgan is told type "
    "and color, as they stand in the training set, so its FCD is not comparable with the others'. The networks that "
    "measure come with the package as well, so that a report of the demo shop does not train them."
)


def record_of(run: Run, prepared: PreparedSet, file: Path) -> dict:
    """What its samples measure, kept as a file."""
    if not file.exists():
        file.write_text(json.dumps(evaluate_run(run, prepared, n=1000, name=file.stem)[0]))
    return json.loads(file.read_text())


def ship_networks(prepared: PreparedSet) -> None:
    """Both networks that measure the demo shop, where `feature_network` looks for them; those that fit it stay."""
    place = MODELS / "features" / prepared.fingerprint[:16]
    for network, name in ((feature_network, "0"), (control_network, "1-half1")):
        network(prepared)
        trained = prepared.path / "features" / name
        if trained.exists():
            shutil.copytree(trained, place / name, dirs_exist_ok=True)
            (place / name / "weights.safetensors").chmod(0o644)
    for old in (MODELS / "features").iterdir():
        if old != place:
            shutil.rmtree(old)


def table(records: dict[str, dict], runs: dict[str, Run]) -> str:
    """Of all models, between real photos in the place of samples and independent Gaussians."""
    one = next(iter(records.values()))
    ends = [[name, *(plain(one[end][key]) for key in MEASURES.values()), "", ""] for end, name in ENDS.items()]
    rows = [
        [name, *(plain(record["samples"][key]) for key in MEASURES.values()), f"{runs[name].step:,}"]
        + [f"{runs[name].seconds / 60:.0f}"]
        for name, record in sorted(records.items(), key=lambda item: item[1]["samples"]["fcd"])
    ]
    return markdown(["model", *MEASURES, "steps", "minutes"], [ends[0], *rows, ends[1]])


def main() -> None:
    args = page_parser(__doc__).parse_args()
    prepared, work, place = open_prepared(args.data), args.work, args.out / "demo"
    ship_networks(prepared)
    runs = {name: open_run(work / name) for name in SAID}
    records = {name: record_of(run, prepared, work / f"{name}.json") for name, run in runs.items()}
    rows = {"photos that no model has seen": prepared.split("test").images[:COLUMNS]}
    for name, run in runs.items():
        (MODELS / f"demo_{name}32.safetensors").unlink(missing_ok=True)
        export(run, MODELS / f"demo_{name}32.safetensors")
        card(f"demo_{name}32", run, records[name], SAID[name], LIMITS, "demo.sh", "demo.md", SHOP)
        rows[f"{name}, {run.step:,} steps in {run.seconds:.0f} s"] = sample(run, COLUMNS, seed=0)[0]
    shutil.rmtree(place, ignore_errors=True)
    (place / "ddpm").mkdir(parents=True)
    draw_sheet(rows, place / "samples.png")
    sheets = sorted((runs["ddpm"].path / "samples").glob("*.png"))
    for path in [path for path in sheets if int(path.stem) in SHEETS] + sheets[-1:]:
        shutil.copy(path, place / "ddpm")
    said = HEAD.format(
        cores=os.cpu_count(), python=platform.python_version(), jax=jax.__version__, train=prepared.splits["train"],
        size=prepared.size, test=prepared.splits["test"],
    )  # fmt: skip
    text = ["# The models of the demo shop", "", said, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    text += [table(records, runs), "", "![samples of each model](demo/samples.png)", ""]
    (args.out / "demo.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
