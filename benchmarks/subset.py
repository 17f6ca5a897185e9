"""A prepared set with some of its training photos; the other splits, and the names of all values, stay."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from prodgen_jax import open_prepared
from prodgen_jax.data.prepared import SPLITS, PreparedSet, write_meta, write_split


def subset(prepared: PreparedSet, rows: Int[np.ndarray, "m"], place: Path, name: str) -> PreparedSet:
    """The set with these `rows` of its training split in `place`; written if it is not there yet, under `name`."""
    if not (place / "prepared.json").exists():
        for which in SPLITS:
            split = prepared.split(which)
            kept = np.sort(rows) if which == "train" else np.arange(len(split))
            labels = {key: column[kept] for key, column in split.labels.items()}
            strings = (split.ids[kept], split.text[kept], split.group[kept])
            write_split(place / which, split.images, kept, labels, *strings)
        splits = {**prepared.splits, "train": len(rows)}
        fingerprint = f"{name} of {prepared.fingerprint}"
        write_meta(PreparedSet(place, prepared.size, prepared.attributes, splits, fingerprint, {}), {})
    return open_prepared(place)
