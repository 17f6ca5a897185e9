"""Photos looked at on Apache Beam: every machine reads, checks and squares its share, and one gathers what is left.

A photo of megabytes leaves its worker as two small pictures and a digest. What needs all photos at once (copies,
groups, splits) is done on these, by the same code as without Beam, so the prepared set is the same to the byte.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from prodgen_jax.data.clean import THUMB, BadPhoto, Photo
from prodgen_jax.data.source import Row, Seen, Source, seen
from prodgen_jax.data.tfds_builder import Part, build, png
from prodgen_jax.errors import InputError


def look_on_beam(catalogue: Source, folder: Path, beam: str, rows: Sequence[Row], size: int) -> Iterator[Seen]:
    """As `catalogue.look(rows, size)`, through a TFDS dataset of its own in `folder`.

    InputError where Beam or its runner is not there, or the catalogue's photos are not to be had in other processes.
    """
    import tensorflow_datasets as tfds

    if catalogue.opener is None:
        raise InputError(f"beam: {catalogue.table.name} is read on one machine only; leave `beam` out")
    text = tfds.features.Text()
    features = {
        "pixels": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
        "thumb": tfds.features.Image(shape=(THUMB, THUMB, 3), encoding_format="png"),
        "digest": text, "reason": text, "detail": text,
    }  # fmt: skip
    parts = {"rows": Part(rows, partial(_open_look, catalogue.opener, size))}
    builder = build(folder, "looked", features, parts, "reading photos on Beam", beam)
    for example in builder.as_data_source(split="rows"):
        reason, detail = example["reason"].decode(), example["detail"].decode()
        digest = bytes.fromhex(example["digest"].decode())
        yield BadPhoto(reason, detail) if reason else Photo(example["pixels"], example["thumb"], digest)


def _open_look(opener: Callable[[], Callable[[Row, int], Photo]], size: int) -> Callable[[Row], dict]:
    look, none = opener(), Photo(np.zeros((size, size, 3), np.uint8), np.zeros((THUMB, THUMB, 3), np.uint8), b"")

    def example(row: Row) -> dict:
        found = seen(look, row, size)
        bad = found if isinstance(found, BadPhoto) else None
        photo = none if bad else found
        return {
            "pixels": png(photo.pixels), "thumb": png(photo.thumb), "digest": photo.digest.hex(),
            "reason": bad.reason if bad else "", "detail": bad.detail if bad else "",
        }  # fmt: skip

    return example
