"""The models of `benchmarks/families.sh` that come with the package: their files, their cards, and a sheet by wishes.

Also where that script's runs and records lie, for the page.
"""

import json
from pathlib import Path

import numpy as np

from prodgen_jax import open_run, recipe, sample
from prodgen_jax.data.images import sheet
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.compare import SHOWN, tag
from prodgen_jax.evaluation.figures import canvas, markdown, picture, save_figure
from prodgen_jax.evaluation.runs import evaluate_run
from prodgen_jax.training.run import Run, export

MODELS = Path(__file__).parents[1] / "prodgen_jax" / "pretrained"
TOLD = ("articleType", "baseColour")
ASKED = {"stylegan": {"condition": ",".join(TOLD)}, "cgan": {}, "cvae": {}}  # {method: settings}
TYPES = ("Tshirts", "Dresses", "Jeans", "Casual Shoes", "Heels", "Handbags", "Watches", "Sunglasses")
COLORS = ("Black", "White", "Red", "Blue", "Green", "Pink", "Yellow", "Brown")

STYLEGAN = """A small StyleGAN that draws 32 px product photos, of a type and a color if they are named:
`prodgen sample pretrained:stylegan32 --where articleType=Handbags --where baseColour=Red -n 64 --out sheet.png`;
safer ones: `--set truncation=0.7`.

![a type in each row, a color in each pair of columns](../../docs/results/families/stylegan32.png)"""
CVAE = """A conditional VAE for 32 px product photos, told any of seven attributes. It encodes photos, and draws:
`prodgen sample pretrained:cvae32 --where articleType=Shirts --where subCategory=Topwear -n 64 --out sheet.png`."""
VQVAE = """A VQ-VAE and its prior for 32 px product photos: a photo as 64 codes, and such pages of codes written anew:
`prodgen sample pretrained:vqvae32 -n 64 --out sheet.png`; likelier ones: `--set temperature=0.8`."""
CATALOG = "the public 'Fashion Product Images (Small)' collection"
SHOP = "It knows one shop's photos at 32 px."
LIMITS = {
    "stylegan32": (
        "Straps, laces and glasses break; prints are blotches. " + SHOP,
        "A pair of which there are no photos comes as another thing of that color, or in another color.",
    ),
    "cvae32": ("Its pictures are soft, and it obeys a single word badly: name several. " + SHOP,),
    "vqvae32": ("It rebuilds well and draws badly: its prior knows strokes and kinds, seldom whole goods. " + SHOP,),
}


def untold(name: str) -> str:
    """The folder of a method's runs with its own settings."""
    return f"{name}-{tag(recipe(name))}"


def title(name: str) -> str:
    """The same where it is told attributes."""
    return f"{name}-{tag(recipe(name, **ASKED[name]))}"


def records(work: Path, of: str) -> list[dict]:
    """One of each seed."""
    return [json.loads(file.read_text()) for file in sorted((work / "records" / "time").glob(f"{of}-[0-9].json"))]


def seed_0(work: Path, of: str) -> Run:
    return open_run(work / "runs" / "time" / of / "0")


def draw_grid(run: Run, path: Path) -> None:
    """A type in each row, a color above each pair of columns."""
    made = [sample(run, 2, seed=1, where=dict(zip(TOLD, (t, c), strict=True)))[0] for t in TYPES for c in COLORS]
    pixels = sheet(np.concatenate(made), 2 * len(COLORS))
    row, column = pixels.shape[0] / len(TYPES), pixels.shape[1] / len(COLORS)
    figure, axes = canvas(9.6, 0.58 * len(TYPES))
    picture(axes[0, 0], pixels, "bicubic")
    for i, t in enumerate(TYPES):
        axes[0, 0].text(-6, row * (i + 0.5), t, ha="right", va="center", fontsize=7)
    for j, c in enumerate(COLORS):
        axes[0, 0].text(column * (j + 0.5), -6, c, ha="center", fontsize=7)
    save_figure(figure, path)


def card(
    name: str, run: Run, record: dict, said: str, limits: tuple[str, ...], by: str, others: str, shop: str = CATALOG
) -> None:
    """The model's card, beside it. by: the script that made it; others: the page of what it is compared with."""
    row = [f"pretrained:{name}", *(f"{record['samples'][key]:.3g}" for key in SHOWN.values())]
    control = [
        [a, f"{at['accuracy']:.1%}", f"{at['real']:.1%}", f"{at['ratio']:.2f}"]
        for a, at in record.get("control", {}).get("attributes", {}).items()
        if "accuracy" in at
    ]
    held_out = record["prepared"]["splits"]["test"]
    asked = ["", markdown(["asked for", "read as asked", "on real photos", "ratio"], control)] if control else []
    text = [
        f"# pretrained:{name}",
        "",
        f"Made by `benchmarks/{by}`; every number here is its output.",
        "",
        said,
        "",
        f"- **Data**: {shop}, {record['prepared']['splits']['train']:,} training photos.",
        f"- **Budget**: {run.step:,} steps of {run.recipe.loop.batch} on one core.",
        "",
        f"## Quality: {record['n']['samples']:,} samples against {held_out:,} held-out photos",
        "",
        markdown(["", *SHOWN], [row]),
        *asked,
        "",
        f"Of real photos the FCD is {record['floor']['fcd']:.3g}. Beside others: docs/results/{others}.",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in limits),
        f"- Of the samples above {record['copies']['copies']} were flagged as copies of a training photo.",
        "",
    ]
    (MODELS / f"{name}.md").write_text("\n".join(text), encoding="utf-8")


def ship(work: Path, prepared: PreparedSet) -> dict:
    """Exports the models and writes their cards; the record of the StyleGAN that was trained for longer."""
    run, file = open_run(work / "stylegan32"), work / "stylegan32.record.json"
    if not file.exists():
        file.write_text(json.dumps(evaluate_run(run, prepared, n=1000, name="stylegan32")[0]))
    longer = json.loads(file.read_text())
    models = {
        "stylegan32": (run, longer, STYLEGAN),
        "cvae32": (seed_0(work, title("cvae")), records(work, title("cvae"))[0], CVAE),
        "vqvae32": (seed_0(work, untold("vqvae")), records(work, untold("vqvae"))[0], VQVAE),
    }
    for name, (run, record, said) in models.items():
        (MODELS / f"{name}.safetensors").unlink(missing_ok=True)
        export(run, MODELS / f"{name}.safetensors")
        card(name, run, record, said, LIMITS[name], "families.sh", "families.md")
    return longer
