"""The same measures per category, and a refusal where there are too few pictures to say anything (E8).

FCD is not among them: with tens of pictures it measures their number. KID has no such bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Int

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import sets

LEAST = 50  # pictures of a category in each set


@dataclass(frozen=True, eq=False)
class Labeled:
    """Features [n d] of a set, and the category of each row, -1 where it is unknown."""

    features: Float[Array, "n d"]
    values: Int[np.ndarray, "n"]

    def of(self, value: int) -> Float[np.ndarray, "k d"]:
        return self.features[self.values == value]


def pick_attribute(prepared: PreparedSet, columns: Mapping[str, Sequence[np.ndarray]], wanted: str | None) -> str:
    """The attribute to part by: the one that is wanted, else the one with the most values that can be measured.

    columns: {attribute: its column in each set}. InputError if the wanted one cannot be had for all sets.
    """
    if wanted is not None and wanted not in columns:
        raise InputError(f"category '{wanted}': known are {', '.join(columns)}")

    def measurable(name: str) -> int:
        counts = [np.bincount(c[c >= 0], minlength=len(prepared.attributes[name])) for c in columns[name]]
        return int((np.min(counts, axis=0) >= LEAST).sum())

    return wanted or max(columns, key=lambda name: (measurable(name), len(prepared.attributes[name])))


def by_category(
    names: Sequence[str], reference: Labeled, samples: Labeled, floor: Labeled, least: int = LEAST
) -> dict[str, dict]:
    """{"measured": {category: {"n", "samples", "floor"}}, "refused": {category: its numbers of pictures}}.

    names: the attribute's values. A category is refused where the samples or the reference have fewer than `least`
    pictures of it; where the floor has, its place is None. Categories that no set has are passed over.
    """
    measured, refused = {}, {}
    for value, name in enumerate(names):
        real, ours, others = reference.of(value), samples.of(value), floor.of(value)
        n = {"samples": len(ours), "reference": len(real), "floor": len(others)}
        if min(len(ours), len(real)) < least:
            refused |= {name: n} if len(ours) or len(real) else {}
            continue
        measured[name] = {
            "n": n,
            "samples": few_measures(real, ours),
            "floor": few_measures(real, others) if len(others) >= least else None,
        }
    return {"least": least, "measured": measured, "refused": refused}


def few_measures(real: np.ndarray, found: np.ndarray) -> dict[str, float]:
    kid, stderr = sets.kid(real, found)
    precision, recall = sets.precision_recall(real, found)
    coverage = sets.density_coverage(real, found)[1]
    return {"kid": kid, "kid_stderr": stderr, "precision": precision, "recall": recall, "coverage": coverage}
