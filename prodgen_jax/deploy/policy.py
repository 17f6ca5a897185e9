"""What may be asked for: words that are refused, words that somebody looks at later, and a log of what was decided.

A policy file:

    block = ["gun", "cigarette"]      # refused
    review = ["nike", "school bag"]   # drawn, and marked in the log

Words count in any case, singular or plural, as `data.words` reads them, also within attributes; several words count
where they stand together. Full-width letters and accents are made plain first (Unicode's NFKD); letters of other
scripts that look alike are not. It is a list, not a judge: what it does not name, it lets pass.
"""

import json
import time
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prodgen_jax.data.words import words_of
from prodgen_jax.deploy.wish import Wish
from prodgen_jax.errors import InputError

ALLOW, REVIEW, BLOCK = "allow", "review", "block"
LISTS = (BLOCK, REVIEW)  # the stricter one is asked first


def plain(text: str) -> str:
    """The text without accents and full-width letters."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


@dataclass(frozen=True)
class Policy:
    """{verdict: phrases}, each a tuple of words."""

    phrases: Mapping[str, tuple[tuple[str, ...], ...]]

    def verdict(self, wish: Wish) -> tuple[str, str]:
        """(BLOCK, REVIEW or ALLOW, the phrase that decided it)."""
        lines = [*wish.where.values(), wish.text or ""]
        said = [words_of(plain(line)) for line in lines]
        for verdict in LISTS:
            for phrase in self.phrases.get(verdict, ()):
                if any(holds(words, phrase) for words in said):
                    return verdict, " ".join(phrase)
        return ALLOW, ""


def holds(words: list[str], phrase: tuple[str, ...]) -> bool:
    n = len(phrase)
    return any(tuple(words[i : i + n]) == phrase for i in range(len(words) - n + 1))


NOTHING = Policy({})


def read_policy(path: str | Path) -> Policy:
    """InputError names the file and the entry that cannot be."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a policy file ({error})") from error
    for name, lines in table.items():
        if name not in LISTS:
            raise InputError(f"{path}: {name} is not known; choose of {', '.join(LISTS)}")
        if not isinstance(lines, list) or not all(isinstance(line, str) and words_of(plain(line)) for line in lines):
            raise InputError(f"{path}: {name}: expected a list of words")
    return Policy({name: phrases(lines) for name, lines in table.items()})


def phrases(lines: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(words_of(plain(line))) for line in lines)


class Log:
    """A line of JSON for each wish: when, whose key, what was asked for, what was decided and why. None: no log."""

    def __init__(self, path: str | Path | None):
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a", encoding="utf-8", buffering=1) if path else None

    def write(self, key: str, wish: Wish, verdict: str, phrase: str) -> None:
        if self.file:
            asked = {"n": wish.n, "seed": wish.seed, "where": dict(wish.where), "text": wish.text}
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = {"when": when, "key": key, "verdict": verdict, "phrase": phrase, **asked}
            self.file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        if self.file:
            self.file.close()
