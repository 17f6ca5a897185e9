"""What the two players of a GAN want, as values: a critic's loss, a generator's loss, penalties on the critic's slope.

A critic answers with one unbounded number per picture; the higher, the more real. No sigmoid is ever applied to it:
the losses that speak of probabilities take it for a logit.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float


class AdversarialLoss(NamedTuple):
    """critic: (on_real [b], on_fake [b]) -> scalar; generator: (on_fake [b]) -> scalar. Both are to be made small."""

    critic: Callable
    generator: Callable


LOSSES = {
    # -log D(x) - log(1 - D(G(z))) and -log D(G(z)) of probabilities, from logits. Goodfellow 2014, eq. 1, section 3.
    "nonsaturating": AdversarialLoss(
        critic=lambda real, fake: jnp.mean(nnx.softplus(-real)) + jnp.mean(nnx.softplus(fake)),
        generator=lambda fake: jnp.mean(nnx.softplus(-fake)),
    ),
    # Only answers within the margin count for the critic. Lim & Ye 2017; SN-GAN (Miyato 2018), eq. 16 and 17.
    "hinge": AdversarialLoss(
        critic=lambda real, fake: jnp.mean(nnx.relu(1 - real)) + jnp.mean(nnx.relu(1 + fake)),
        generator=lambda fake: -jnp.mean(fake),
    ),
    # LSGAN (Mao 2017), eq. 2 with a = -1, b = 1, c = 0: the Pearson chi-squared divergence; 0 divides real from fake.
    "least_squares": AdversarialLoss(
        critic=lambda real, fake: 0.5 * jnp.mean((real - 1) ** 2) + 0.5 * jnp.mean((fake + 1) ** 2),
        generator=lambda fake: 0.5 * jnp.mean(fake**2),
    ),
    # The dual of the Wasserstein-1 distance, true of a critic with slopes of at most 1 alone. Arjovsky 2017, eq. 2.
    "wasserstein": AdversarialLoss(
        critic=lambda real, fake: jnp.mean(fake) - jnp.mean(real),
        generator=lambda fake: -jnp.mean(fake),
    ),
}


def r1_penalty(critic, real: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """E |grad_x D(x)|^2 / 2 on real photos. Mescheder 2018, eq. 9.

    The norm is written as the derivative of D along its own, held gradient: value and parameter gradient are the
    same, and nothing is differentiated twice in reverse.
    """
    toward = jax.lax.stop_gradient(jax.grad(lambda x: critic(x).sum())(real))
    _, slope = jax.jvp(critic, (real,), (toward,))
    return jnp.mean(slope - 0.5 * jnp.sum(toward**2, (1, 2, 3)))


def gradient_penalty(critic, x: Float[Array, "b h w c"]) -> Float[Array, ""]:
    """E (|grad_x D(x)| - 1)^2 at points between photos and generated pictures. WGAN-GP (Gulrajani 2017), eq. 3.

    The norm is the derivative of D along its own, held direction, as in `r1_penalty`.
    """
    toward = jax.lax.stop_gradient(jax.grad(lambda x: critic(x).sum())(x))
    length = jnp.sqrt(jnp.sum(toward**2, (1, 2, 3), keepdims=True))
    _, slope = jax.jvp(critic, (x,), (toward / jnp.maximum(length, 1e-12),))
    return jnp.mean((slope - 1) ** 2)
