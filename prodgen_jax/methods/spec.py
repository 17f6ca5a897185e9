"""What a method must know of the data: the picture's size, the attributes and how many words captions are made of; and
how its settings name things."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prodgen_jax.data.captions import EMBEDDING, TEXT, vocabulary
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError


@dataclass(frozen=True)
class Spec:
    """size: pixels on a side; channels: 3 for RGB; attributes: {name: number of values}; words: known ones, 0: none.

    embedding: numbers in a vector that pictures may be conditional on, 0: none.
    """

    size: int
    channels: int = 3
    attributes: Mapping[str, int] = field(default_factory=dict)
    words: int = 0
    embedding: int = 0

    @property
    def conditions(self) -> dict[str, int]:
        """All that a picture can be conditional on, and how many values, words or numbers there are of it."""
        said = {TEXT: self.words, EMBEDDING: self.embedding}
        return {**self.attributes, **{name: n for name, n in said.items() if n}}

    @classmethod
    def of(cls, prepared: PreparedSet, before: tuple[str, ...] = (), embedding: int = 0) -> "Spec":
        """Of a prepared set. before: words that a model knows already. embedding: numbers of an encoder's vectors."""
        attributes = {name: len(values) for name, values in prepared.attributes.items()}
        return cls(prepared.size, 3, attributes, len(vocabulary(prepared, before).words), embedding)


def choose(table: dict, name: str, setting: str):
    """The value that a setting names; InputError lists the known names."""
    if name not in table:
        raise InputError(f"{setting}={name} is not known; choose one of {', '.join(table)}")
    return table[name]
