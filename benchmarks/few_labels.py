"""docs/results/few_labels.md from the runs of `benchmarks/few_labels.sh`: how few labels name what each of them sees.

python benchmarks/few_labels.py SET WORK --minutes MINUTES --out docs/results
"""

import argparse
import json
from pathlib import Path

from prodgen_jax import open_prepared, open_run
from prodgen_jax.cli.huge_pages import with_huge_pages
from prodgen_jax.evaluation.evaluate import made_with
from prodgen_jax.evaluation.few_labels import few_labels
from prodgen_jax.evaluation.tables import markdown
from prodgen_jax.evaluation.usefulness import STEPS

RUNS = {"dcgan": "critic of a DCGAN", "vae": "code of a VAE", "ddpm": "DDPM", "flow": "flow, by Muon"}
WAYS = {
    "untrained": "its network, untrained",
    "pixels": "pixels",
    "chance": "by chance",
    "chosen": "where it doubts",
}
TEXT = """# How few labels name a catalogue's goods

Made by `benchmarks/few_labels.sh SET WORK {minutes:g}`; every number here is its output. {versions}.
The catalogue: the public 'Fashion Product Images (Small)' collection, {train:,} training photos at 32 px. Each model
was trained on these for {minutes:g} minutes of one core, two side by side, and told nothing of what they show:
{steps_of}.

A linear reader then learns `{attribute}` ({values} values that 20 photos or more have) from what its network makes of
the photos that have a label (`evaluation/few_labels.py`), and reads {held:,} held-out ones: the share that it reads
right, with half of a 95 % interval over {seeds} draws of the photos with a label. *By chance*: these were drawn at
random. *Where it doubts*: three quarters of them the reader asked for itself. *Untrained*: the same network before its
first step. *Pixels*: photos made half as wide. Always naming the commonest value is right in {commonest:.1%}.

{table}

A classifier that learns from the photos with a label alone ({steps} steps, {seeds} seeds):

{alone}
"""


def told(at: tuple[float, float | None]) -> str:
    mean, half = at
    return f"{mean:.1%}" + (f" ± {half:.1%}" if half and half > 5e-4 else "")  # all photos leave nothing to chance


def page(records: dict, prepared, minutes: float) -> str:
    """The records as tables, one row for each count of labels and model."""
    first = next(iter(records.values()))
    rows = [
        [f"{record['labels'][i]['n']:,}", name, *(told(record["labels"][i][way]) for way in WAYS)]
        for i in range(len(first["labels"]))
        for name, record in records.items()
    ]
    alone = [(f"{at['n']:,}", told(at["alone"])) for at in first["labels"]]
    versions = ", ".join(f"{name} {version}" for name, version in made_with()["versions"].items())
    return TEXT.format(
        minutes=minutes,
        steps_of=", ".join(f"{name} {record['trained_steps']:,} steps" for name, record in records.items()),
        versions=versions,
        train=prepared.splits["train"],
        held=prepared.splits["test"],
        table=markdown(["labels", "what is read", *WAYS.values()], rows),
        alone=markdown(["labels", "read right"], alone),
        **{key: first[key] for key in ("attribute", "values", "seeds", "steps", "commonest")},
    )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("work", type=Path)
    p.add_argument("--minutes", type=float, required=True, help="that each run was trained for")
    p.add_argument("--attribute", default="articleType")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    prepared, records = open_prepared(args.data), {}
    for method, name in RUNS.items():  # the classifier alone knows nothing of the runs: once is enough
        steps = 0 if records else STEPS
        records[name] = few_labels(open_run(args.work / method), prepared, args.attribute, steps=steps)
        records[name]["trained_steps"] = open_run(args.work / method).step
    kept = args.out / "few_labels" / "records.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(records, indent=1) + "\n")
    (args.out / "few_labels.md").write_text(page(records, prepared, args.minutes), encoding="utf-8")


if __name__ == "__main__":
    with_huge_pages()
    main()
