"""What is written as text: `a=1` and `a,b,c`."""

from collections.abc import Sequence

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
