"""The training split in two halves, drawn once and for all, so that two networks can learn from different photos."""

import numpy as np
from jaxtyping import Int

from prodgen_jax.data.prepared import PreparedSet, Split


def rows_of_half(n: int, half: int) -> Int[np.ndarray, "m"]:
    """Rows of half 0 or 1 of n, in order."""
    return np.sort(np.random.default_rng(0).permutation(n)[half::2])


def labels_of_training(prepared: PreparedSet, half: int | None) -> dict[str, Int[np.ndarray, "m"]]:
    """The labels of all training photos, or of one half."""
    rows = slice(None) if half is None else rows_of_half(prepared.splits["train"], half)
    return {name: column[rows] for name, column in prepared.split("train").labels.items()}


def part_of_training(prepared: PreparedSet, half: int | None) -> Split:
    """The training split, or one of its halves, in memory."""
    train = prepared.split("train")
    if half is None:
        return train
    rows = rows_of_half(len(train), half)
    strings = (train.ids[rows], train.text[rows], train.group[rows])
    return Split(train.images[rows], labels_of_training(prepared, half), *strings)
