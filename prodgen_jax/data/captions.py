"""Captions: a product's name and attributes as lines of words, and words as numbers.

One product is told in several ways, so that a model that reads them understands more than one way of asking. To the
rest of the package a caption is one more label, `text`: a row of word numbers, -1 where no word is, as an attribute
is -1 where nothing is said.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Key

from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.errors import InputError

TEXT = "text"  # the label's name; no attribute may have it
LENGTH = 16  # words of a caption that are read
LEAST = 5  # training products that must have a word, for it to be known
MOST = 2000  # words known, the most frequent ones
UNKNOWN = "<unknown>"  # word 0: any word that is not known
SKIPPED = frozenset("a an and at by for from in of on or s the to with".split())
PHRASINGS = 6  # ways in which a product is told
ALL = 1  # the one that says all attributes
STREAM = 7  # what a picture's key is folded with to choose one of them


def stem(word: str) -> str:
    """A plural's singular, by its ending alone: watches -> watch, shoes -> shoe; dress stays."""
    if re.search(r"(ch|sh|ss|x)es$", word):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def words_of(text: str) -> list[str]:
    """The words that carry meaning, in lower case and singular: "Red bags, for women" -> red, bag, women."""
    return [stem(word) for word in re.findall(r"[^\W_]+", text.lower()) if word not in SKIPPED]


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
    rows = zip(names, said, strict=True)
    return np.stack([phrasings(*row, np.random.default_rng(i)) for i, row in enumerate(rows)])


def phrasings(name: list[int], said: list[list[int]], rng: np.random.Generator) -> Int[np.ndarray, "PHRASINGS LENGTH"]:
    def some() -> list[int]:
        kept = [part for part in said if rng.random() < 0.5] or said
        return sum((kept[j] for j in rng.permutation(len(kept))), [])

    ways = [name, sum(said, []), some(), some(), some(), name + some()]
    return np.stack([padded(way or name or ways[1]) for way in ways])


def told(
    prepared: PreparedSet, part: str, conditions: Iterable[str], several: bool = False, before: tuple[str, ...] = ()
) -> Split:
    """A split for a method that is conditional on `conditions`: with captions as its label `text`, if that is one.

    several: [n PHRASINGS LENGTH], of which the loader draws; else [n LENGTH], which say the attributes. before: as
    `vocabulary`'s.
    """
    split, known = prepared.split(part), prepared.attributes
    if TEXT not in conditions:
        return split
    ways = in_ways(split, known, vocabulary(prepared, before))
    return replace(split, labels={**split.labels, TEXT: ways if several else ways[:, ALL]})


def choose_phrasing(keys: Key[Array, "b"], ways: Int[Array, "b p l"]) -> Int[Array, "b l"]:
    """One of each product's ways, by its picture's key."""
    pick = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, STREAM), (), 0, ways.shape[1]))(keys)
    return jnp.take_along_axis(ways, pick[:, None, None], axis=1)[:, 0]


def unsaid(condition: str, n: int) -> Int[np.ndarray, "n ..."]:
    """What stands for a condition where nothing is said."""
    return np.full((n, LENGTH) if condition == TEXT else n, -1, np.int32)
