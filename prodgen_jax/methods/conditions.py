"""What a method is conditional on: which attributes, how they are hidden while training, and what is asked for."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from prodgen_jax.data.captions import unsaid
from prodgen_jax.errors import InputError
from prodgen_jax.methods.spec import Spec, choose

Label = Mapping[str, Int[Array, "b"]]  # {attribute: index of the value, -1 where it is not said}


def attributes_of(method: str, condition: tuple[str, ...], drop: float, spec: Spec) -> dict[str, int]:
    """{attribute: number of values} that condition: those named, or all. InputError where one is unknown."""
    attributes = {name: choose(dict(spec.attributes), name, "condition") for name in condition}
    if not (attributes or spec.attributes):
        raise InputError(
            f"{method}: this set has no attributes to condition on; train dcgan or vae, or prepare it with some"
        )
    if not 0 <= drop <= 1:
        raise InputError(f"drop={drop}: must be a share from 0 to 1")
    return attributes or dict(spec.attributes)


def hide(keys, label: Label, drop: float) -> dict[str, Int[Array, "b"]]:
    """Each example draws a rate from 0 to `drop`, and hides each of its attributes at that rate.

    One rate for all would hardly ever hide all of many attributes, or none. With `drop` 1 every number of hidden
    attributes is as likely as any other, so every subset is learned.
    """

    def one(key):
        k_rate, k_each = jax.random.split(key)
        return jax.random.uniform(k_each, (len(label),)) < drop * jax.random.uniform(k_rate)

    hidden = jax.vmap(one)(keys)
    return {name: jnp.where(hidden[:, i], -1, values) for i, (name, values) in enumerate(label.items())}


def asked(attributes: Mapping[str, int], cond: Label, n: int) -> dict[str, Int[Array, "n ..."]]:
    """What n pictures are asked for: -1 for the attributes, the text and the vector that `cond` does not name."""
    return {name: cond.get(name, unsaid(name, n, count)) for name, count in attributes.items()}
