"""Domains: photos told apart by their attributes, such as black T-shirts and white ones, for methods without pairs.

Such a method's example is one photo of each domain, drawn apart: nothing says that they belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Array, Int

from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.errors import InputError

Domain = Mapping[str, str]  # {attribute: the value that its photos have}


def in_words(domain: Domain) -> str:
    return ", ".join(f"{name}={value}" for name, value in domain.items()) or "all photos"


def rows_of(
    domain: Domain, labels: Mapping[str, Int[Array, "n"]], attributes: Mapping[str, Sequence[str]]
) -> Int[np.ndarray, "m"]:
    """The rows that have the domain's values, in order. InputError lists what the catalog has instead."""
    found = np.ones(len(next(iter(labels.values()), ())), bool)
    for name, value in domain.items():
        if name not in attributes:
            raise InputError(f"domain {in_words(domain)}: no attribute '{name}'; there are {', '.join(attributes)}")
        if value not in attributes[name]:
            raise InputError(f"domain {in_words(domain)}: values of '{name}' are {', '.join(attributes[name])}")
        found &= np.asarray(labels[name]) == attributes[name].index(value)
    return np.flatnonzero(found).astype(np.int32)


def in_domains(split: Split, prepared: PreparedSet, domains: Sequence[Domain]) -> Split:
    """A split whose examples are one photo of each domain; as it is, where there are none.

    InputError where a domain has no photo in it, or two of them are the same.
    """
    if not domains:
        return split
    rows = tuple(rows_of(domain, split.labels, prepared.attributes) for domain in domains)
    for i, domain in enumerate(domains):
        if domain in domains[:i]:
            raise InputError(
                f"two domains are the same: {in_words(domain)}; say by attributes which photos are to become which: "
                "--from ATTRIBUTE=VALUE,... --to ATTRIBUTE=VALUE,..."
            )
        if not len(rows[i]):
            raise InputError(f"{prepared.path}: no photo of the domain {in_words(domain)}")
    return replace(split, domains=rows)
