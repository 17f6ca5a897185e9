"""A normalizing flow over vectors, of affine couplings (RealNVP, Dinh 2017): a density to read and to draw from."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from prodgen_jax.nets.layers import Linear

REACH = 2.0  # the largest log-scale of one coupling, so that no step of training can throw a vector far away


class Coupling(nnx.Module):
    """What the first half of a vector, and what is said, say of the second: how to scale and shift it.

    Dinh 2017, eq. 7 and 8.
    """

    def __init__(self, half: int, told: int, hidden: int, *, rngs: nnx.Rngs):
        self.enter, self.middle = Linear(half + told, hidden, rngs=rngs), Linear(hidden, hidden, rngs=rngs)
        self.exit = Linear(hidden, 2 * half, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, half: Float[Array, "b h"], *said: Float[Array, "b e"]) -> tuple[Array, Array]:
        """(log-scale, shift), [b h] each."""
        half = jnp.concatenate([half, *said], axis=-1)
        log_scale, shift = jnp.split(self.exit(nnx.silu(self.middle(nnx.silu(self.enter(half))))), 2, axis=-1)
        return REACH * jnp.tanh(log_scale / REACH), shift


class Flow(nnx.Module):
    """An invertible map between z and u ~ N(0, 1); the halves of the vector swap places after each coupling.

    It starts as the identity but for the places, so the density of z starts as N(0, 1). ValueError on an odd size.
    told: numbers that describe what is said, under which the density is meant (`said`); 0: nothing is.
    """

    def __init__(self, size: int, couplings: int, hidden: int = 256, told: int = 0, *, rngs: nnx.Rngs):
        if couplings and size % 2:
            raise ValueError(f"a flow halves its vectors; their size must be even, not {size}")
        self.couplings = nnx.List([Coupling(size // 2, told, hidden, rngs=rngs) for _ in range(couplings)])

    def forward(
        self, z: Float[Array, "b z"], *said: Float[Array, "b e"]
    ) -> tuple[Float[Array, "b z"], Float[Array, "b"]]:
        """u, and log |det du/dz|: what is added to log N(u) to give log p(z). Dinh 2017, eq. 2 and 6."""
        log_det = jnp.zeros(z.shape[0])
        for coupling in self.couplings:
            kept, changed = jnp.split(z, 2, axis=-1)
            log_scale, shift = coupling(kept, *said)
            z = jnp.concatenate([(changed - shift) * jnp.exp(-log_scale), kept], axis=-1)
            log_det -= log_scale.sum(-1)
        return z, log_det

    def inverse(self, u: Float[Array, "b z"], *said: Float[Array, "b e"]) -> Float[Array, "b z"]:
        """z with `forward(z)[0] == u`."""
        for coupling in reversed(self.couplings):
            changed, kept = jnp.split(u, 2, axis=-1)
            log_scale, shift = coupling(kept, *said)
            u = jnp.concatenate([kept, changed * jnp.exp(log_scale) + shift], axis=-1)
        return u
