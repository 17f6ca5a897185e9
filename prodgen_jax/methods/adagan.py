"""AdaGAN (Tolstikhin 2017): a mixture of generators, each of which learns what those before it have missed.

One GAN may leave kinds of products out. Here components are trained one after the other, each in a span of its own: a
judge first learns to tell photos from what the mixture so far draws; where it is sure that a picture is a photo, the
mixture has hardly anything, and there the next component's photos weigh most.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import AXIS, EXTRA, Method, Turn
from prodgen_jax.methods.gan import DCGANSettings, Game, dcgan_players, game_with_r1, latents, normal
from prodgen_jax.methods.gan_losses import LOSSES
from prodgen_jax.methods.spec import Spec

STREAM_COMPONENT = 9  # what an example's key is folded with to draw the component that makes its picture
PLAYERS = ("generator", "critic")
SO_FAR = "so_far"  # in `extra`: how many components there are yet


@dataclass(frozen=True)
class AdaGANSettings(DCGANSettings):
    """What `--set` reaches of an AdaGAN: all that a DCGAN has, and these."""

    components: int = 3  # generators in the mixture
    phase: int = 3200  # steps for each component; the last one plays to the end of the run
    judge: int = 480  # the first of them, in which the judge learns what the mixture so far has; the first has no judge


def weights(ratio: Float[Array, "n"], beta: float) -> Float[Array, "n"]:
    """What each of n photos weighs for the next component; they sum to 1.

    ratio: how often the mixture draws such a picture for each time that photos show it, dP_g / dP_d. beta: the next
    component's share of the mixture. [lambda - (1 - beta) ratio]_+ / (beta n), with the one lambda for which that is a
    distribution. Tolstikhin 2017, eq. 6 and algorithm 3.
    """
    n = len(ratio)
    order = jnp.sort(ratio)
    k = jnp.arange(1, n + 1)
    lambdas = (beta * n + (1 - beta) * jnp.cumsum(order)) / k  # were the k that are missed most those with any weight
    fits = lambdas > (1 - beta) * order  # holds up to the true k, and no further
    level = lambdas[jnp.maximum(fits.sum(), 1) - 1]
    return jnp.maximum(level - (1 - beta) * ratio, 0) / (beta * n)


def own(params: dict, component: int) -> dict:
    """All parameters, and a component's players among them under the names that its game knows."""
    return {**params, **{player: params[f"{player}_{component}"] for player in PLAYERS}}


@dataclass(frozen=True, eq=False)
class Mixture:
    """Games of one kind, one for each component, and the judge of what they draw together.

    judge: its parameters -> a function of pictures: logits, high where photos are likelier than the mixture.
    """

    game: Game
    judge: Callable
    components: int

    def draw(self, params, keys, z: Float[Array, "b z"], among: int, so_far: Array | int) -> Float[Array, "b h w c"]:
        """Each picture by one of the first `so_far` components, as likely as another; of at most `among`."""
        u = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, STREAM_COMPONENT)))(keys)
        which = jnp.floor(u * so_far)[:, None, None, None]
        made = [self.game.players.generate(own(params, k), z) for k in range(among)]
        return sum(jnp.where(which == k, pictures, 0) for k, pictures in enumerate(made))

    def missed(self, params, photos: Float[Array, "b h w c"], component: int) -> Float[Array, "b"]:
        """What photos weigh for a component; on average 1 over the step's whole batch, on all devices."""
        if component == 0:
            return jnp.ones(len(photos))
        logits = jax.lax.all_gather(self.judge(params["judge"])(photos), AXIS, tiled=True)
        shares = weights(jnp.exp(-logits), 1 / (component + 1))
        first = jax.lax.axis_index(AXIS) * len(photos)
        return jax.lax.stop_gradient(len(shares) * jax.lax.dynamic_slice_in_dim(shares, first, len(photos)))

    def judge_turn(self, component: int) -> Callable:
        """Photos against what the components before this one draw. Tolstikhin 2017, section 2.4."""

        def loss(params, extra, batch, keys, step):
            z = normal(keys, (self.game.latent,))
            fake = jax.lax.stop_gradient(self.draw(params, keys, z, component, component))
            judge = self.judge(params["judge"])
            on_real, on_fake = judge(batch["image"]), judge(fake)
            value = LOSSES["nonsaturating"].critic(on_real, on_fake)
            told = (jnp.mean(on_real > 0) + jnp.mean(on_fake < 0)) / 2
            return value, (extra, {"loss/judge": value, "judge/accuracy": told})

        return loss

    def critic_turn(self, component: int) -> Callable:
        """As in every game, but each photo counts as much as it is missed."""

        def loss(params, extra, batch, keys, step):
            missed = self.missed(params, batch["image"], component)
            critic, real, fake, extra = self.game.judged(params, extra, batch, keys)
            on_real, lost, none = critic(real), self.game.loss.critic, jnp.zeros(1)
            # what a critic loses on photos and on samples adds up, so each is asked for with the other at nothing
            on_each = jax.vmap(lambda one: lost(one[None], none))(on_real)
            value = jnp.mean(missed * on_each) + lost(none, critic(fake)) - lost(none, none)
            extra, metrics = self.game.augment.adapt(extra, on_real)
            return value, (extra, {"loss/critic": value, "photos/missed": jnp.mean(missed > 0), **metrics})

        return loss


def boosted(s: AdaGANSettings, build: Callable) -> Method:
    """The games of components one after the other. build: key -> (generator, critic); the judge is such a critic."""
    for name, fits, must in (
        ("components", s.components >= 1, "be 1 or more"),
        ("phase", s.phase > s.judge, f"be more steps than judge={s.judge}"),
        ("judge", s.judge >= 1, "be 1 or more steps"),
    ):
        if not fits:
            raise InputError(f"{name}={getattr(s, name)}: must {must}")
    method, game = game_with_r1(s, build)
    mixture = Mixture(game, game.players.nets[1], s.components)
    names = [f"{player}_{k}" for k in range(s.components) for player in PLAYERS]

    def init(key):
        parts = [method.init(jax.random.fold_in(key, k)) for k in range(s.components + 1)]
        params = {f"{name}_{k}": part[name] for k, (part, _) in enumerate(parts[:-1]) for name in PLAYERS}
        carried = {f"game_{k}": extra for k, (_, extra) in enumerate(parts[:-1]) if extra}
        return {**params, "judge": parts[-1][0]["critic"]}, {**carried, SO_FAR: jnp.ones(())}

    def played(turn: Turn, component: int, span: tuple[float, float]) -> Turn:
        def loss(params, extra, batch, keys, step):
            game = f"game_{component}"
            value, (carried, metrics) = turn.loss(own(params, component), extra.get(game, {}), batch, keys, step)
            carried = {game: carried} if carried else {}
            return value, ({**extra, **carried, SO_FAR: jnp.float32(component + 1)}, metrics)

        return replace(turn, trains=f"{turn.trains}_{component}", loss=loss, span=span)

    def span(k: int) -> tuple[float, float]:
        return k * s.phase, (k + 1) * s.phase if k + 1 < s.components else math.inf

    def component_turns(k: int) -> list[Turn]:
        begin, end = span(k)
        judged = begin + s.judge if k else begin
        judge = [Turn("judge", mixture.judge_turn(k), span=(begin, judged))] if k else []
        critic = replace(method.turns[0], loss=mixture.critic_turn(k))
        return judge + [played(turn, k, (judged, end)) for turn in (critic, *method.turns[1:])]

    def decay(k: int) -> Callable:
        """The average of a component begins with its span, and ends with it."""
        (begin, end), usual = span(k), method.ema["generator"]
        return lambda step: jnp.where(step < end, usual(jnp.maximum(step - begin, 0)), 1.0)

    def sample(params, keys, cond):
        z = latents(keys, s.latent, s.truncation)
        return mixture.draw(params, keys, z, s.components, params[EXTRA][SO_FAR])

    return Method(
        init=init,
        turns=tuple(turn for k in range(s.components) for turn in component_turns(k)),
        optim={name: method.optim[name.rsplit("_", 1)[0]] for name in names} | {"judge": method.optim["critic"]},
        sample=sample,
        ema={f"generator_{k}": decay(k) for k in range(s.components)},
    )


def adagan(s: AdaGANSettings, spec: Spec) -> Method:
    """An AdaGAN of DCGANs for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    return boosted(s, dcgan_players(s, spec))
