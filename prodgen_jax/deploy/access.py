"""Who may ask for what, and how much: keys with scopes and a rate.

A keys file holds the hash of each key, never the key:

    [shop]
    sha256 = "..."
    scopes = ["generate"]
    per_minute = 60        # pictures
"""

import hashlib
import json
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prodgen_jax.errors import InputError

SCOPES = ("generate", "metrics")
PREFIX = "pg_"  # of a key, so that one that was published by mistake is found


@dataclass(frozen=True)
class Key:
    """name: of who holds it; scopes: some of SCOPES; per_minute: pictures that it may ask for."""

    name: str
    sha256: str
    scopes: tuple[str, ...]
    per_minute: int


EVERYONE = Key("everyone", "", SCOPES, 0)  # where a server has no keys; 0: as many as there is room for


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def read_keys(path: str | Path) -> dict[str, Key]:
    """{hash: key}. InputError names the file, the key and the entry that cannot be."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a keys file ({error}); make one with `prodgen key`") from error
    found: dict[str, Key] = {}
    for name, at in table.items():
        key = checked(f"{path}: {name}", name, at)
        if key.sha256 in found:
            raise InputError(f"{path}: {name}: the same key as {found[key.sha256].name}")
        found[key.sha256] = key
    if not found:
        raise InputError(f"{path}: holds no key; make one with `prodgen key`")
    return found


def checked(place: str, name: str, at: object) -> Key:
    if not isinstance(at, dict) or at.keys() != {"sha256", "scopes", "per_minute"}:
        raise InputError(f"{place}: expected sha256, scopes and per_minute")
    digest, scopes, rate = at["sha256"], at["scopes"], at["per_minute"]
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise InputError(f"{place}: sha256 is not one")
    if not isinstance(scopes, list) or not scopes or set(scopes) - set(SCOPES):
        raise InputError(f"{place}: scopes are {scopes}; choose of {', '.join(SCOPES)}")
    if type(rate) is not int or rate < 1:
        raise InputError(f"{place}: per_minute is {rate!r}; expected a whole number of pictures, 1 or more")
    return Key(name, digest, tuple(scopes), rate)


def add_key(path: str | Path, name: str, scopes: Sequence[str], per_minute: int) -> str:
    """A new key, whose hash is added to the file, which is made if it is not there. InputError if the name is taken."""
    path, secret = Path(path), PREFIX + secrets.token_urlsafe(32)
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise InputError(f"{name}: name a key with letters, digits, - and _")
    if path.exists() and name in {key.name for key in read_keys(path).values()}:
        raise InputError(f"{path}: has a key '{name}'; remove its lines, or choose another name")
    key = checked(name, name, {"sha256": hashed(secret), "scopes": list(scopes), "per_minute": per_minute})
    lines = f'[{name}]\nsha256 = "{key.sha256}"\nscopes = {json.dumps(key.scopes)}\nper_minute = {per_minute}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(("\n" if path.stat().st_size else "") + lines)
    return secret


def key_of(header: str | None, keys: Mapping[str, Key]) -> Key | None:
    """The key that an `Authorization: Bearer KEY` header holds; None if it holds none that is known."""
    if not keys:
        return EVERYONE
    kind, _, secret = (header or "").partition(" ")
    return keys.get(hashed(secret.strip())) if kind.lower() == "bearer" else None


class Rates:
    """A bucket for each key: it holds the pictures of a minute, and fills evenly."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}  # {name: (pictures, when)}

    def take(self, key: Key, n: int, now: float) -> float:
        """0, and n pictures are taken; or the seconds until they may be, and nothing is. now: a steady clock's."""
        if not key.per_minute:
            return 0.0
        left, when = self._left.get(key.name, (float(key.per_minute), now))
        left = min(key.per_minute, left + (now - when) * key.per_minute / 60)
        granted = n <= left
        self._left[key.name] = (left - n if granted else left, now)
        return 0.0 if granted else (n - left) * 60 / key.per_minute

    def give_back(self, key: Key, n: int) -> None:
        """What was taken for pictures that were not drawn."""
        if key.name in self._left:
            left, when = self._left[key.name]
            self._left[key.name] = (min(key.per_minute, left + n), when)
