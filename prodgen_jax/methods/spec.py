"""What a method must know of the data: the picture's size and the attributes; and how its settings name things."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError


@dataclass(frozen=True)
class Spec:
    """size: pixels on a side; channels: 3 for RGB; attributes: {name: number of values}."""

    size: int
    channels: int = 3
    attributes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, prepared: PreparedSet) -> "Spec":
        return cls(prepared.size, 3, {name: len(values) for name, values in prepared.attributes.items()})


def choose(table: dict, name: str, setting: str):
    """The value that a setting names; InputError lists the known names."""
    if name not in table:
        raise InputError(f"{setting}={name} is not known; choose one of {', '.join(table)}")
    return table[name]
