"""A record as one HTML page that needs no other file: all that it holds, and every flagged copy beside its product."""

import html
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Array, UInt8
from PIL import Image

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.runs import write_record
from prodgen_jax.evaluation.sections import inline, sections
from prodgen_jax.evaluation.tables import html_table, results_table

SHOWN = 100  # flagged samples on a page, the closest first
STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}h2{margin-top:2.2rem}p{max-width:46rem}img{max-width:100%}.pairs{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:17rem}
figure img{width:8rem;height:8rem;image-rendering:pixelated;border:1px solid #ddd}figcaption{font-size:.85rem}
.copy{color:#B03A00;font-weight:600}"""


def page(record: Mapping, images: UInt8[Array, "n h w 3"], prepared: PreparedSet) -> str:
    """The page of a record. images: those that were given to `evaluate`; InputError if there are fewer, or none."""
    if "n" not in record:
        raise InputError(f"{record['name']}: learned without pairs, and has no samples to make a page of")
    if len(images) != record["n"]["given"]:
        raise InputError(f"{len(images)} pictures, but the record was made of {record['n']['given']}")
    name = html.escape(record["name"] or "samples")
    parts = [results_table([record], form="html", full=True), *sections(record)]
    parts += copies_part(record["copies"], images, prepared)
    yardstick = (
        f"Measured by the network {record['network']['weights_sha256'][:12]}, "
        f"data {record['prepared']['fingerprint'][:12]}."
    )
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style>',
            '<meta name="viewport" content="width=device-width">',
            f"<h1>{name}</h1><p>{yardstick}</p>",
            *parts,
            "</html>",
        ]
    )


def copies_part(found: Mapping, images: UInt8[Array, "n h w 3"], prepared: PreparedSet) -> list[str]:
    """What is known of copies: the rate, how far it can be trusted, and each flagged or closest sample."""
    low, high = found["rate_interval"]
    recall = [[kind, f"{share:.1%}"] for kind, share in found["planted_recall"].items()]
    listed = found["flagged"][:SHOWN] or found["closest"]
    title = (
        f"Flagged samples, {len(listed)} of {found['copies']}" if found["flagged"] else "None is flagged; the closest"
    )
    train = prepared.split("train")
    row_of = {str(key): row for row, key in enumerate(train.ids)}
    alarms = found["false_alarms"]
    return [
        f"<h2>Copies: {found['copies']} of {found['of']}, {low:.2%} to {high:.2%}</h2>",
        f"<p>A copy lies below {found['threshold']:.3f}. False alarms among held-out photos: "
        + ("unknown" if alarms is None else f"{alarms:.1%} of {found['false_alarms_of']}")
        + f". Planted copies found, of {found['planted_of_each']} each:</p>",
        html_table(["kind", "found"], recall),
        f"<h2>{title}</h2>",
        '<div class="pairs">',
        *(pair(at, images[at["sample"]], train.images[row_of[at["id"]]]) for at in listed),
        "</div>",
    ]


def pair(at: Mapping, sample: UInt8[np.ndarray, "h w 3"], product: UInt8[np.ndarray, "h w 3"]) -> str:
    """One sample beside its nearest training product."""
    verdict = '<span class="copy">copy</span>' if at["copy"] else "new"
    side, name = ", mirrored" if at["mirrored"] else "", html.escape(at["id"])
    both = pixels(sample, f"sample {at['sample']}") + pixels(product, f"product {at['id']}")
    return (
        f"<figure>{both}<figcaption>{verdict}{side} · sample {at['sample']} · product {name} · "
        f"distance {at['distance']:.3f}, {at['levels']:.1f} levels</figcaption></figure>"
    )


def pixels(image: UInt8[np.ndarray, "h w 3"], say: str) -> str:
    """A picture, pixel by pixel."""
    return inline(lambda buffer: Image.fromarray(np.asarray(image)).save(buffer, "PNG"), say)


def write_report(path: str | Path, record: Mapping, images: UInt8[Array, "n h w 3"], prepared: PreparedSet) -> Path:
    """The record as JSON at `path`, and its page beside it, NAME.html, which is returned. Errors as `page`'s."""
    path = Path(path)
    write_record(path, dict(record))
    beside = path.with_suffix(".html")
    beside.write_text(page(record, images, prepared), encoding="utf-8")
    return beside
