"""What is written as text: `a=1`, `a,b,c`, and what changed."""

import json
from collections.abc import Mapping, Sequence

from prodgen_jax.errors import InputError


def parse_pairs(parts: Sequence[str], option: str) -> dict[str, str]:
    """`["a=1", "b=2"]` -> {"a": "1", "b": "2"}."""
    pairs = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (equals and key):
            raise InputError(f"{option} {part}: expected name=value")
        pairs[key.strip()] = value.strip()
    return pairs


def list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def differences(old: Mapping, new: Mapping, most: int = 500) -> str:
    """`lr: 0.001 -> 0.5; seed: 0 -> 1`: where two mappings differ, as JSON and entry by entry; "" for nowhere.

    An entry that one of them lacks is None there. Cut after `most` letters.
    """
    text = "; ".join(_changed(json.loads(json.dumps(old)), json.loads(json.dumps(new))))
    return text if len(text) <= most else text[:most] + " ..."


def _changed(old: dict, new: dict) -> list[str]:
    found = []
    for key in {**new, **old}:
        before, value = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            found += _changed(before, value)
        elif before != value:
            found.append(f"{key}: {before} -> {value}")
    return found
