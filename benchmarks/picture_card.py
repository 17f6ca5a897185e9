"""Writes the card of a model that makes pictures of pictures: what it was trained on, how good it is, its limits.

python benchmarks/picture_card.py pretrained:half32 PREPARED_SET --runs RUN [RUN ...] --use "COMMAND" --limits "..." ...
"""

import argparse
from pathlib import Path

import jax

from prodgen_jax import open_prepared, open_run
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.paired import compare
from prodgen_jax.evaluation.translation import Pairs, kind_of, mean_photos, translated
from prodgen_jax.evaluation.unpaired import photos_of, unpaired_lines, unpaired_report
from prodgen_jax.methods.core import EXTRA
from prodgen_jax.training.features import feature_network

MEASURES = {"psnr_db": "PSNR, dB", "ssim": "SSIM", "color_error": "color error"}


def quality(pairs: Pairs, prepared) -> list[str]:
    """Held-out photos, beside what costs nothing."""
    kind, ids = kind_of(prepared), [str(row) for row in pairs.rows]
    means = mean_photos(prepared, kind)[prepared.split("test").labels[kind][pairs.rows]]
    sides = {"made": pairs.made, "the source as it is": pairs.given, f"mean photo of its {kind}": means}
    if pairs.lanczos is not None:
        sides = {"made": pairs.made, "bicubic": pairs.given, "Lanczos": pairs.lanczos}
    found = {name: compare(images, pairs.photos, ids, ids) for name, images in sides.items()}
    body = [(name, *(f"{at[key]:.3g}" for key in MEASURES)) for name, at in found.items()]
    return [f"## Quality: {len(ids):,} held-out photos", "", markdown(("", *MEASURES.values()), body), ""]


def of_domains(model, prepared) -> str:
    counts = [f"{len(photos_of(domain, prepared, ['train'])[0]):,}" for domain in model.method.domains]
    return f", of which it was shown {' and '.join(counts)}" if counts else ""


def quality_of(model, prepared) -> list[str]:
    """As the model's kind has it: beside the right photos, read by the second network, or nothing."""
    if model.method.domains:
        found = unpaired_report(model, prepared, control_network(prepared), feature_network(prepared), seed=0)
        return [
            "## Quality: held-out photos, read by a second network",
            "",
            *(f"- {x}" for x in unpaired_lines(found)),
            "",
        ]
    if model.method.style is not None:
        return []
    return quality(translated(model, prepared, "test", 2000, 0), prepared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", nargs="+", required=True, help="that it was trained in, in order")
    parser.add_argument("--does", required=True, help="what it does, as a sentence")
    parser.add_argument("--use", required=True, help="a command that uses it")
    parser.add_argument("--see", default="", help="where more of it is measured")
    parser.add_argument("--limits", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model, prepared, parts = open_run(args.model), open_prepared(args.data), [open_run(part) for part in args.runs]
    trained = [group for name, group in model.params.items() if name != EXTRA]
    count = sum(leaf.size for leaf in jax.tree.leaves(trained))
    steps = " and then ".join(
        f"{part.step:,} steps of {part.recipe.loop.batch} at {part.spec.size} px" for part in parts
    )
    minutes = sum(part.seconds for part in parts) / 60
    lines = [
        f"# {args.model}",
        "",
        "Made by `benchmarks/pictures.sh`; every number here is its output.",
        "",
        f"{args.does} {count:,} parameters: `{args.use}`.",
        "",
        "- **Data**: the public 'Fashion Product Images (Small)' collection, "
        f"{prepared.splits['train']:,} training photos{of_domains(model, prepared)}.",
        f"- **Budget**: {model.config['method']}, {steps}, {minutes:.0f} minutes on 2 CPU cores beside other work.",
        "",
        *quality_of(model, prepared),
        *([args.see, ""] if args.see else []),
        "## Limits",
        "",
        *(f"- {limit}" for limit in args.limits),
    ]
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
