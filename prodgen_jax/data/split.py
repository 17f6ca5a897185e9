"""Train, validation and test by product group, so that no product and no copy of a photo is on two sides."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from prodgen_jax.data.near import clusters
from prodgen_jax.data.prepared import SPLITS
from prodgen_jax.errors import InputError


def join_groups(ids: Sequence[str], groups: Sequence[str], pairs: Int[np.ndarray, "pairs 2"]) -> list[str]:
    """Each row's final group: rows that share a non-empty group or are linked by a pair; named after its least id."""
    first: dict[str, int] = {}
    shared = [(first.setdefault(group, i), i) for i, group in enumerate(groups) if group]
    numbers = clusters(len(ids), np.concatenate([pairs, np.array(shared, dtype=int).reshape(-1, 2)]))
    least: dict[int, str] = {}
    for number, name in zip(numbers, ids, strict=True):
        least[number] = min(least.get(number, name), name)
    return [least[number] for number in numbers]


def assign(groups: Sequence[str], validation: float, test: float, seed: int) -> dict[str, Int[np.ndarray, "rows"]]:
    """Row indices of each split. Groups are taken in an order hashed from (seed, name); one too large is passed over.

    A fraction above 0 asks for at least one row. InputError if nothing would be left to train on.
    """
    rows: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    order = sorted(rows, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    taken = {name: _take(order, rows, len(groups), part) for name, part in (("test", test), ("validation", validation))}
    taken["train"] = [i for group in order for i in rows[group]]
    if not taken["train"]:
        raise InputError(
            f"only {len(groups)} usable products in {len(rows)} groups: nothing would be left to train on; "
            "give more products, or set validation and test to 0"
        )
    return {name: np.array(sorted(taken[name]), dtype=int) for name in SPLITS}


def _take(order: list[str], rows: dict[str, list[int]], n: int, part: float) -> list[int]:
    """Take groups off `order` while they fit into `part` of `n`."""
    room = max(1, round(n * part)) if part > 0 else 0
    taken: list[int] = []
    left = []
    for group in order:
        if len(taken) + len(rows[group]) <= room:
            taken += rows[group]
        else:
            left.append(group)
    order[:] = left
    return taken
