"""Writes docs/results/text.md, its numbers, and the unCLIP that comes with the package with its card, from what
`benchmarks/text.sh` left.

python benchmarks/text_page.py PREPARED_SET WORK --out docs/results
"""

import json

import jax
import numpy as np
from families_page import draw_sheet, page_parser
from family_models import MODELS, card
from model_card import ASKED

from prodgen_jax import open_prepared, open_run, sample
from prodgen_jax.data.captions import ALL, in_ways
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import SHOWN
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.retrieval import embed, recall_at
from prodgen_jax.training.run import Run, export

KS = (1, 5, 10, 50)
NAMED, SHIPPED = "unclip32", "prior-2"
READ = ("articleType", "baseColour")
SAMPLES = {
    "no-prior": "words, decoder: no prior",
    "prior-1": "words, prior, decoder",
    "prior-2": "the prior guided by 2, as it comes",
    "prior-3": "the prior guided by 3",
    "fashion32": "pretrained:fashion32: one stage, guided, trained for longer (2,000 samples)",
}
SAID = """An unCLIP for 32 px product photos: two towers that lay photos and words on one sphere, a prior and a decoder.
It finds photos, `prodgen find pretrained:unclip32 SET --text "red dress" --out sheet.png`, and draws them,
`prodgen sample pretrained:unclip32 --text "red dress" -n 64 --out sheet.png`; cleaner ones: `--set guidance=2`."""
LIMITS = (
    "It knows the words of one catalog's names and attributes, and that shop's photos at 32 px.",
    "Its pictures are rougher than those of pretrained:fashion32, whose network is guided as a whole.",
)
FINDING = (
    "Each line is looked for among {photos:,} held-out photos; right is its own photo alone, though many share their "
    "attributes, and some their name. By chance recall@k is k / {photos:,}."
)
TWO = (
    "{n:,} samples for the captions of training products, against {test:,} held-out photos. *Of real*: how "
    "often a second network, with other weights and other photos, reads a sample as what was asked for, over how often "
    "it reads held-out photos right. The catalogue's shares of kinds are given to all. "
    "Where the prior is guided, its estimate moves away from the one that was told nothing; the decoder is not guided."
)


def recall(run: Run, prepared: PreparedSet) -> dict:
    """{how a product is told: {k: share of products whose own photo is among the k nearest}}."""
    split = prepared.split("test")
    ways = in_ways(split, prepared.attributes, run.vocabulary)
    photos = embed(run, np.asarray(split.images))
    lines = {"its name": ways[:, 0], "its attributes": ways[:, ALL]}
    return {name: recall_at(embed(run, text), photos, KS) for name, text in lines.items()}


def main() -> None:
    args = page_parser(__doc__).parse_args()
    prepared, run = open_prepared(args.data), open_run(args.work / f"{SHIPPED}.safetensors")
    files = {name: (args.out if name == "fashion32" else args.work) / f"{name}.json" for name in SAMPLES}
    records = {name: json.loads(file.read_text()) for name, file in files.items()}
    samples = {
        SAMPLES[name]: {
            **{key: at["samples"][key] for key in SHOWN.values()},
            "ratio": {a: at["control"]["attributes"][a]["ratio"] for a in READ},
        }
        for name, at in records.items()
    }
    found = {
        "ks": KS,
        "photos": prepared.splits["test"],
        "attributes": READ,
        "recall": recall(run, prepared),
        "samples": samples,
    }
    (args.out / "text.json").write_text(json.dumps(found, indent=1))
    found = json.loads((args.out / "text.json").read_text())
    (MODELS / f"{NAMED}.safetensors").unlink(missing_ok=True)
    export(run, MODELS / f"{NAMED}.safetensors")
    card(NAMED, run, records[SHIPPED], SAID, LIMITS, by="text.sh", others="text.md")
    place = args.out / "text"
    place.mkdir(exist_ok=True)
    made = sample(run, 14 * len(ASKED), 7, text=[t for t in ASKED for _ in range(14)], settings={"guidance": 2.0})[0]
    draw_sheet(dict(zip(ASKED, np.split(made, len(ASKED)), strict=True)), place / "unclip32.png")
    rows = [[name, *(f"{at[str(k)]:.1%}" for k in KS)] for name, at in found["recall"].items()]
    chance = ["chance", *(f"{k / found['photos']:.1%}" for k in KS)]
    drawn = [
        [name, *(f"{at[key]:.3g}" for key in SHOWN.values()), *(f"{at['ratio'][a]:.2f}" for a in READ)]
        for name, at in samples.items()
    ]
    first, all_steps, batch = run.recipe.method.first_stage, run.step, run.recipe.loop.batch
    text = [
        "# Words and photos: two towers, and two stages",
        "",
        "Made by `benchmarks/text.sh SET WORK STEPS CORE`; every number here is its output. One core, jax "
        f"{jax.__version__}. The catalogue: the public 'Fashion Product Images (Small)' collection, "
        f"{prepared.splits['train']:,} training photos at {prepared.size} px. {first:,} steps of {batch} trained the "
        f"towers, {all_steps - first:,} the prior and the decoder: {run.seconds / 60:.0f} minutes in all.",
        "",
        *([f"**Note.** {args.note}", ""] if args.note else []),
        "## What is found",
        "",
        FINDING.format(photos=found["photos"]),
        "",
        markdown(["a photo is looked for by", *(f"recall@{k}" for k in KS)], [*rows, chance]),
        "",
        "## What the prior is worth",
        "",
        TWO.format(n=records[SHIPPED]["n"]["samples"], test=found["photos"]),
        "",
        markdown(["samples of", *SHOWN, *(f"{a}: of real" for a in READ)], drawn),
        "",
        "## Samples, with a decoder guided by 2 as well",
        "",
        "![samples for eight lines of words](text/unclip32.png)",
        "",
    ]
    (args.out / "text.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
