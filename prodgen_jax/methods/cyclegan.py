"""From picture to picture without pairs: CycleGAN (Zhu 2017), which is told two domains of a catalog's photos.

Two generators, one each way, and two critics, one of each domain's pictures. The pictures are to pass for the other
domain, and to come back as what they were. Each generator adds to its source, so that it begins as the identity; the
paper's weights of cycle and identity, 10 and 5, hold it there, for an absolute error is steepest where it is 0.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.literals import parse_pairs
from prodgen_jax.methods.backbone import BACKBONES, BackboneSettings
from prodgen_jax.methods.core import PLACE, SOURCE, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold
from prodgen_jax.methods.gan_losses import LOSSES
from prodgen_jax.methods.pix2pix import absolute
from prodgen_jax.methods.pool import empty, exchange
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.nets.patchgan import ScaledCritics

STREAM_POOL, STREAM_DROPOUT = 1, 5  # what an example's key is folded with, and the numbers after it: a way's, a pass's
WAYS = (("a", "b"), ("b", "a"))  # (of the source, of what is made of it)

Pictures = Float[Array, "b h w c"]


@dataclass(frozen=True)
class CycleGANSettings(BackboneSettings, PrecisionSettings):
    """What `--set` reaches of a CycleGAN."""

    domain_a: tuple[str, ...] = ()  # its photos' attributes: baseColour=Black,articleType=Tshirts
    domain_b: tuple[str, ...] = ()  # those of the photos that they are to become, and the other way
    multipliers: tuple[int, ...] = (1, 2)  # channels of each level, in widths; small, for six passes a step
    attend: tuple[int, ...] = ()  # levels with self-attention, 0 the finest
    back: bool = False  # make pictures of domain b into domain a's
    loss: str = "least_squares"  # nonsaturating, hinge or least_squares
    cycle: float = 3.0  # weight of how far a picture is from what it was, there and back
    identity: float = 1.0  # weight of how much a picture changes that is of the other domain already
    pool: int = 64  # pictures made before that a critic may be shown; 0: none
    scales: int = 1  # critics of a domain, each for pictures half as large as the one before
    critic_width: int = 32  # channels of a critic's first map
    generator_lr: float = 5e-4  # Adam's step size
    critic_lr: float = 2e-4  # Adam's step size
    warmup: int = 100  # steps
    clip: float = 1.0  # largest gradient norm of both generators


def check(s: CycleGANSettings, spec: Spec) -> None:
    """InputError where settings cannot be, or do not fit the pictures."""
    choose(BACKBONES, s.network, "network").check("cyclegan", s, spec)
    for name in ("cycle", "identity"):
        if not 0 <= getattr(s, name) < float("inf"):
            raise InputError(f"{name}={getattr(s, name)}: a weight, must be 0 or more")
    if s.pool < 0:
        raise InputError(f"pool={s.pool}: must be 0 or more pictures")
    if not 0 <= s.dropout < 1:
        raise InputError(f"dropout={s.dropout}: a share, must be 0 or more and below 1")


class Cycle:
    """Generators {"ab", "ba"} and critics {"a", "b"} as pure functions of {group: params}, and their turns."""

    def __init__(self, settings: CycleGANSettings, spec: Spec):
        self.s, self.spec, self.loss = settings, spec, choose(LOSSES, settings.loss, "loss")
        self.shape = (spec.size, spec.size, spec.channels)
        nets = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.nets = {name: opened(net, settings.precision) for part in nets.values() for name, net in part.items()}

    def build(self, key) -> dict[str, dict[str, nnx.Module]]:
        s, rngs = self.s, [nnx.Rngs(params=k) for k in jax.random.split(key, 4)]

        def generator(i: int) -> nnx.Module:
            return BACKBONES[s.network].build(s, self.spec, {}, rngs[i])

        def critic(i: int) -> nnx.Module:
            return ScaledCritics(self.spec.size, self.spec.channels, s.critic_width, s.scales, rngs=rngs[i])

        return {"generator": {"ab": generator(0), "ba": generator(1)}, "critic": {"a": critic(2), "b": critic(3)}}

    def init(self, key) -> tuple[dict, dict]:
        nets = self.build(key)
        params = {group: {n: nnx.state(net, nnx.Param) for n, net in part.items()} for group, part in nets.items()}
        pools = {name: empty(self.s.pool, self.shape) for name in nets["critic"]} if self.s.pool else {}
        return params, pools

    def generate(self, params, way: str, source: Pictures, keys=None) -> Pictures:
        """keys: of what the network drops out; None: it drops nothing."""
        inside = keys if self.s.dropout else None
        return source + self.nets[way](params["generator"][way])(source, jnp.zeros(len(source)), {}, inside)

    def judged(self, params, domain: str, images: Pictures) -> list[Float[Array, "b m"]]:
        """The critics' answers for each patch, scale by scale."""
        return [answers for answers, _ in self.nets[domain](params["critic"][domain])(images)]

    def critic_turn(self, params, extra, batch, keys, step):
        """Zhu 2017, eq. 1, in the form that `loss` names, for both domains."""
        photos, total, told = {"a": batch["image"][:, 0], "b": batch["image"][:, 1]}, 0.0, 0.0
        for i, (one, other) in enumerate(WAYS):
            inside = fold(keys, STREAM_DROPOUT + i)
            made = jax.lax.stop_gradient(self.generate(params, one + other, photos[one], inside))
            if other in extra:
                made, after = exchange(extra[other], made, fold(keys, STREAM_POOL + i), batch[PLACE], step)
                extra = {**extra, other: after}
            answers = [self.judged(params, other, x) for x in (photos[other], made)]
            total += sum(self.loss.critic(*pair) for pair in zip(*answers, strict=True)) / self.s.scales
            told += sum(jnp.mean(x > 0) + jnp.mean(y < 0) for x, y in zip(*answers, strict=True)) / (4 * self.s.scales)
        return total, (extra, {"loss/critic": total, "critic/accuracy": told})

    def generator_turn(self, params, extra, batch, keys, step):
        """Zhu 2017, eq. 3, with the identity's loss of section 5.2."""
        s, photos = self.s, {"a": batch["image"][:, 0], "b": batch["image"][:, 1]}
        fooled = cycle = same = 0.0
        for i, (one, other) in enumerate(WAYS):
            given = [photos[one], photos[other]] if s.identity else [photos[one]]  # in one call
            inside = [fold(keys, STREAM_DROPOUT + 3 * i + j) for j in range(3)]
            made = self.generate(params, one + other, jnp.concatenate(given), jnp.concatenate(inside[: len(given)]))
            made, kept = made[: len(keys)], made[len(keys) :]
            answers = self.judged(params, other, made)
            fooled += sum(map(self.loss.generator, answers)) / s.scales
            cycle += absolute(self.generate(params, other + one, made, inside[2]), photos[one])
            same += absolute(kept, photos[other]) if s.identity else 0.0
        total = fooled + s.cycle * cycle + s.identity * same
        metrics = {"loss/generator": total, "loss/adversarial": fooled, "loss/cycle": cycle}
        return total, (extra, {**metrics, **({"loss/identity": same} if s.identity else {})})

    def sample(self, params, keys, cond):
        """Where no source is said it is flat grey, so that a sampler can be called with nothing."""
        source = cond.get(SOURCE, jnp.zeros((keys.shape[0], *self.shape)))
        return jnp.clip(self.generate(params, "ba" if self.s.back else "ab", source), -1, 1)


def cyclegan(settings: CycleGANSettings, spec: Spec) -> Method:
    """The game of two generators and of two critics, who each move together."""
    check(settings, spec)
    s, game = settings, Cycle(settings, spec)
    rate = optax.linear_schedule(0.0, s.generator_lr, s.warmup)
    return Method(
        init=game.init,
        turns=(Turn("critic", game.critic_turn), Turn("generator", game.generator_turn)),
        optim={
            "generator": optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(rate, b1=0.5, b2=0.999)),
            "critic": optax.adam(s.critic_lr, b1=0.5, b2=0.999),
        },
        sample=game.sample,
        ema={"generator": power_ema()},
        domains=tuple(parse_pairs(getattr(s, name), name) for name in ("domain_a", "domain_b")),
        source=lambda photos: photos,
    )
