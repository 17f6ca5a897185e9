"""Progressive growing (Karras 2018): a GAN that learns small pictures first, and every larger size from the one before.

Every size is a game of its own between the same players: turns with a span. A size is faded in over `phase` steps and
then stays as it is for as many, the last one to the end of the run. DCGAN's losses and lazy R1 stand where the paper
has WGAN-GP's, so that growth is all in which this differs from `dcgan`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import EXTRA, Method, Turn
from prodgen_jax.methods.gan import DCGANSettings, game_with_r1, latents
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.dcgan import SEED, doublings
from prodgen_jax.nets.growing import GrowingDiscriminator, GrowingGenerator, seen_at, shown

GROWN = "grown"  # in a batch: the level and how much of it there is; in `extra`: both as one number


@dataclass(frozen=True)
class ProgressiveSettings(DCGANSettings):
    """What `--set` reaches of a progressive GAN: all that a DCGAN has, and this."""

    phase: int = 1600  # steps that fade a size in, and that it then stays for; the first only stays; 0: as --from ended


def restarted(optimizer: optax.GradientTransformation, at: Sequence[int]) -> optax.GradientTransformation:
    """`optimizer` that forgets what it has gathered after each of so many updates, as the paper's code does.

    What has just begun to play has no past: its first gradients would be divided by a mean square of zeros.
    """

    def init(params):
        return jnp.zeros((), jnp.int32), optimizer.init(params)

    def update(updates, state, params=None):
        count, inner = state
        anew = jnp.isin(count, jnp.array(at, jnp.int32))
        inner = jax.tree.map(lambda fresh, old: jnp.where(anew, fresh, old), optimizer.init(params), inner)
        updates, inner = optimizer.update(updates, inner, params)
        return updates, (count + 1, inner)

    return optax.GradientTransformation(init, update)


def spans(levels: int, phase: int) -> list[tuple[float, float]]:
    """The steps of each level, from its first to the next one's first."""
    begins = [0] + [(2 * d - 1) * phase for d in range(1, levels)]
    return list(zip(begins, [*begins[1:], math.inf], strict=True))


def progressive(s: ProgressiveSettings, spec: Spec) -> Method:
    """A GAN that grows from 8 px to `spec.size` (16, 32, 64, ... px; at 8 it is a DCGAN)."""
    if s.phase < 0:
        raise InputError(f"phase={s.phase}: must be 0 or more steps")

    def build(key):
        rngs = nnx.Rngs(params=key)
        return (
            GrowingGenerator(spec.size, spec.channels, s.latent, s.width, rngs=rngs),
            GrowingDiscriminator(spec.size, spec.channels, s.width, s.stddev_group, rngs=rngs),
        )

    method, game = game_with_r1(s, build, said=lambda keys, batch: batch[GROWN])
    levels = doublings(spec.size)

    def at(level: int, span: tuple[float, float], turn: Turn) -> Turn:
        def loss(params, extra, batch, keys, step):
            share = jnp.clip((step - span[0]) / s.phase, 0.0, 1.0) if level > 1 and s.phase else jnp.ones(())
            photos = seen_at(batch["image"], spec.size, level, share)
            batch = {**batch, "image": photos, GROWN: (level, share)}
            value, (extra, metrics) = turn.loss(params, extra, batch, keys, step)
            size = level - 1 + share
            return value, ({**extra, GROWN: size}, {**metrics, "grown/pixels": SEED * 2**size})

        return replace(turn, loss=loss, span=span)

    def init(key):
        params, extra = method.init(key)
        return params, {**extra, GROWN: jnp.ones(())}

    def sample(params, keys, cond):
        z, grown = latents(keys, s.latent, s.truncation), params[EXTRA][GROWN]
        level = jnp.clip(jnp.ceil(grown), 1, levels).astype(jnp.int32)

        def draw(d: int):
            return lambda share: shown(game.players.generate(params, z, d, share), spec.size)

        return jax.lax.switch(level - 1, [draw(d) for d in range(1, levels + 1)], grown - (level - 1))

    stages = spans(levels, s.phase)
    grows = [int(begin) for begin, _ in stages[1:]]

    def fresh(group: str, adam: optax.GradientTransformation) -> optax.GradientTransformation:
        own = [turn.every for turn in method.turns if turn.trains == group]
        return restarted(adam, [sum(-(-step // every) for every in own) for step in grows])

    return replace(
        method,
        init=init,
        turns=tuple(at(d, span, turn) for d, span in enumerate(stages, 1) for turn in method.turns),
        optim={group: fresh(group, adam) for group, adam in method.optim.items()},
        sample=sample,
    )
