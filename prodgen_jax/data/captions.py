"""Captions: a product's name and attributes as lines of words, and words as numbers.

One product is told in several ways, so that a model that reads them understands more than one way of asking. To the
rest of the package a caption is one more label, `text`: a row of word numbers, -1 where no word is, as an attribute
is -1 where nothing is said. Where somebody else's encoder reads the lines, the label is `embedding`: its vector.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Key, Shaped

from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.data.words import UNKNOWN, words_of
from prodgen_jax.errors import InputError

TEXT = "text"  # the label's name; no attribute may have it
EMBEDDING = "embedding"  # the label that is a vector and not a value or words
LENGTH = 16  # words of a caption that are read
LEAST = 5  # training products that must have a word, for it to be known
MOST = 2000  # words known, the most frequent ones
PHRASINGS = 6  # ways in which a product is told
ALL = 1  # the one that says all attributes
STREAM = 7  # what a picture's key is folded with to choose one of them


@dataclass(frozen=True)
class Vocabulary:
    """The words that a model knows; a word's number is its place. The first one stands for all that are not known."""

    words: tuple[str, ...]

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def read(self, words: Sequence[str]) -> list[int]:
        return [self.numbers.get(word, 0) for word in words]

    def unknown(self, text: str) -> list[str]:
        return [word for word in words_of(text) if word not in self.numbers]

    def encode(self, text: str) -> Int[np.ndarray, "LENGTH"]:
        """A line as a caption of the words that are known. InputError where there is none."""
        words = [word for word in words_of(text) if word in self.numbers]
        if not words:
            some = ", ".join(self.words[1:13])
            raise InputError(f"text '{text}': no word of it stands in the catalogue's names; it knows {some}, ...")
        return padded(self.read(words))


def padded(numbers: Sequence[int]) -> Int[np.ndarray, "LENGTH"]:
    row = np.full(LENGTH, -1, np.int32)
    row[: min(len(numbers), LENGTH)] = numbers[:LENGTH]
    return row


@lru_cache(maxsize=2)
def vocabulary(prepared: PreparedSet, before: tuple[str, ...] = ()) -> Vocabulary:
    """The words of the attributes' values and the frequent ones of the training products' names, by frequency.

    before: words that a model knows already, as `Vocabulary.words`; they keep their places, and new ones follow.
    """
    split = prepared.split("train")
    names = Counter(word for name in split.text for word in dict.fromkeys(words_of(str(name))))
    said: Counter = Counter()
    for name, values in prepared.attributes.items():
        counts = np.bincount(split.labels[name] + 1, minlength=len(values) + 1)[1:]
        for value, count in zip(values, counts, strict=True):
            said.update({word: int(count) for word in words_of(value)})
    frequent = {word: n for word, n in names.items() if n >= LEAST}
    ranked = sorted({**frequent, **said}.items(), key=lambda item: (-item[1], item[0]))
    return Vocabulary(tuple(dict.fromkeys((*(before or (UNKNOWN,)), *(word for word, _ in ranked[:MOST])))))


Attributes = Mapping[str, Sequence[str]]  # {attribute: its values}


def attribute_words(
    labels: Mapping[str, Int[np.ndarray, "n"]], attributes: Attributes, known: Vocabulary
) -> list[list[list[int]]]:
    """The word numbers of each product's attributes, those left out that are missing (-1) or that no label is of."""
    values = {a: [known.read(words_of(value)) for value in attributes[a]] for a in attributes if a in labels}
    return said_of(labels, values)


def said_of(labels: Mapping[str, Int[np.ndarray, "n"]], values: Mapping[str, list[list]]) -> list[list[list]]:
    """The words of each product's attributes, as `values` has them, those left out that are missing (-1)."""
    rows = np.stack([np.asarray(labels[a]) for a in values], axis=1).tolist()
    return [[of[v] for of, v in zip(values.values(), row, strict=True) if v >= 0] for row in rows]


def in_words(
    labels: Mapping[str, Int[np.ndarray, "n"]], attributes: Attributes, known: Vocabulary
) -> Int[np.ndarray, "n LENGTH"]:
    """Captions that say attributes alone, all of them in their order."""
    return np.stack([padded(sum(parts, [])) for parts in attribute_words(labels, attributes, known)])


def in_ways(split: Split, attributes: Attributes, known: Vocabulary) -> Int[np.ndarray, "n PHRASINGS LENGTH"]:
    """Each product's captions: its name; all attributes; some of them in any order, thrice; name and some of them.

    Which ones is drawn from the product's place alone. A product without a name is told by its attributes, one without
    any by its name.
    """
    names = [known.read(words_of(str(name))) for name in split.text]
    said = attribute_words(split.labels, attributes, known) if attributes else [[]] * len(names)
    return np.stack([[padded(way) for way in ways] for ways in phrasings(names, said)])


def in_lines(split: Split, attributes: Attributes) -> list[list[str]]:
    """Each product's captions as `in_ways`, as lines of the table's own words."""
    names = [[name] if (name := str(text).strip()) else [] for text in split.text]
    values = {a: [[value] for value in attributes[a]] for a in attributes}
    said = said_of(split.labels, values) if attributes else [[]] * len(names)
    return [[" ".join(way) for way in ways] for ways in phrasings(names, said)]


def phrasings(names: list[list], said: list[list[list]]) -> list[list[list]]:
    """PHRASINGS ways of each product, of its name's words and those of each of its attributes."""

    def ways_of(name: list, said: list[list], rng: np.random.Generator) -> list[list]:
        def some() -> list:
            kept = [part for part in said if rng.random() < 0.5] or said
            return sum((kept[j] for j in rng.permutation(len(kept))), [])

        ways = [name, sum(said, []), some(), some(), some(), name + some()]
        return [way or name or ways[1] for way in ways]

    return [ways_of(*row, np.random.default_rng(i)) for i, row in enumerate(zip(names, said, strict=True))]


Encoder = Callable[[list[str]], Array]  # lines of words -> a vector for each, float [n d]


def encoded(lines: Sequence[str], encoder: Encoder) -> Float[np.ndarray, "n d"]:
    """What an encoder from outside makes of lines. InputError where that is not a vector of numbers for each."""
    found = np.asarray(encoder(list(lines)))
    if found.ndim != 2 or len(found) != len(lines) or found.shape[1] < 1 or not np.isfinite(found.astype(float)).all():
        raise InputError(f"encoder: made {found.shape} of {len(lines)} lines; it must make finite numbers [n d] of n")
    return found.astype(np.float32)


def told(
    prepared: PreparedSet,
    part: str,
    conditions: Iterable[str],
    several: bool = False,
    before: tuple[str, ...] = (),
    encoder: Encoder | None = None,
) -> Split:
    """A split for a method that is conditional on `conditions`: with captions as its label `text` or `embedding`.

    several: [n PHRASINGS ...], of which the loader draws; else [n ...], which say the attributes. before: as
    `vocabulary`'s. encoder: whose vectors are the label `embedding`.
    """
    split, known = prepared.split(part), prepared.attributes
    labels, chosen = dict(split.labels), slice(None) if several else ALL
    if TEXT in conditions:
        labels[TEXT] = in_ways(split, known, vocabulary(prepared, before))[:, chosen]
    if EMBEDDING in conditions and len(split):
        lines = [ways if several else ways[ALL : ALL + 1] for ways in in_lines(split, known)]
        vectors = encoded([line for ways in lines for line in ways], encoder)
        labels[EMBEDDING] = vectors.reshape(len(split), *((PHRASINGS,) if several else ()), -1)
    return replace(split, labels=labels)


def choose_phrasing(keys: Key[Array, "b"], ways: Shaped[Array, "b p l"]) -> Shaped[Array, "b l"]:
    """One of each product's ways, by its picture's key."""
    pick = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, STREAM), (), 0, ways.shape[1]))(keys)
    return jnp.take_along_axis(ways, pick[:, None, None], axis=1)[:, 0]


def unsaid(condition: str, n: int, length: int = 0) -> Shaped[np.ndarray, "n ..."]:
    """What stands for a condition where nothing is said. length: of an embedding."""
    if condition == EMBEDDING:
        return np.full((n, length), -1, np.float32)
    return np.full((n, LENGTH) if condition == TEXT else n, -1, np.int32)
