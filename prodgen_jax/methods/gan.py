"""Generative adversarial networks (Goodfellow 2014) as turns of a generator and a critic.

DCGAN (Radford 2016) with the loss that `loss` names, lazy R1 (Mescheder 2018, Karras 2020), minibatch deviation (Karras
2018), and, where asked for, spectral normalization and differentiable augmentation. `Players` and `Game` hold what the
families of such games share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, PyTree

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import EXTRA, Method, Turn, power_ema
from prodgen_jax.methods.diffaugment import DiffAugment
from prodgen_jax.methods.gan_losses import LOSSES, AdversarialLoss, r1_penalty
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.nets import spectral
from prodgen_jax.nets.dcgan import Discriminator, Generator

STREAM_REAL, STREAM_FAKE, STREAM_SAID = 1, 2, 3  # what an example's key is folded with, beside its latent vector


@dataclass(frozen=True)
class DCGANSettings(PrecisionSettings):
    """What `--set` reaches of a DCGAN."""

    latent: int = 128  # numbers in a latent vector
    width: int = 32  # channels of the widest map of both networks
    generator_lr: float = 5e-4  # Adam's step size
    critic_lr: float = 5e-4  # Adam's step size
    beta1: float = 0.5  # Adam's momentum; DCGAN's 0.5
    loss: str = "nonsaturating"  # nonsaturating, hinge, least_squares, or wasserstein (wgan_gp has its penalty)
    r1: float = 0.2  # weight of the gradient penalty on real photos
    r1_every: int = 16  # steps between two penalties; each counts so many times as much
    spectral: bool = False  # divide each of the critic's weights by its largest singular value
    stddev_group: int = 4  # pictures whose variety the critic sees together, a divisor of a device's share; 0: none
    diffaugment: tuple[str, ...] = ()  # what the critic's pictures go through: color, translation, cutout
    augment_target: float = 0.0  # adapt the augmentation's strength to this E[sign D(x)], as 0.6; 0: full strength
    augment_steps: int = 2000  # steps that the adapted strength takes from 0 to 1 at least
    truncation: float = 0.0  # largest size of a latent number when sampling; 0: no limit


def normal(keys, shape: tuple[int, ...]) -> Float[Array, "b ..."]:
    """Standard normal draws of `shape` for each example's key."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def latents(keys, size: int, truncation: float) -> Float[Array, "b z"]:
    """Latent vectors to sample with: standard normal, each number drawn within +-truncation where that is not 0.

    The truncation trick of BigGAN (Brock 2019), section 3.1: likelier pictures for less variety.
    """
    if truncation == 0:
        return normal(keys, (size,))
    return jax.vmap(lambda key: jax.random.truncated_normal(key, -truncation, truncation, (size,)))(keys)


def fold(keys, stream: int):
    """A key of its own for each example and stream."""
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)


class Players:
    """Generator and critic as pure functions of {group: params}.

    build:      key -> (generator, critic), modules that are called as generator(z, *said) and critic(x, *said).
    normalized: whether the critic's weights are divided by their largest singular values.
    precision:  what they compute in.
    """

    def __init__(self, build: Callable, normalized: bool = False, precision: str = "fp32"):
        self.build, self.normalized = build, normalized
        shapes = nnx.eval_shape(lambda: build(jax.random.key(0)))
        self.nets = tuple(opened(net, precision) for net in shapes)
        self.sees = opened(shapes[1], precision, "seen") if hasattr(shapes[1], "seen") else None

    def init(self, key) -> tuple[dict, dict]:
        generator, critic = (nnx.state(net, nnx.Param) for net in self.build(key))
        extra = {"spectral": spectral.start_vectors(critic, key)} if self.normalized else {}
        return {"generator": generator, "critic": critic}, extra

    def generate(self, params: dict, z: Float[Array, "b z"], *said) -> Float[Array, "b h w c"]:
        return self.nets[0](params["generator"])(z, *said)

    def critic(self, params: dict, extra: dict) -> tuple[Callable, dict]:
        """(the critic as it judges, `extra` with its spectral vectors one iteration on)."""
        weights, extra = self.judging(params, extra)
        return self.nets[1](weights), extra

    def judging(self, params: dict, extra: dict) -> tuple[PyTree, dict]:
        """(the critic's parameters as it judges by them, `extra` as above)."""
        if not self.normalized:
            return params["critic"], extra
        weights, vectors = spectral.normalize(params["critic"], extra["spectral"])
        return weights, {**extra, "spectral": vectors}


@dataclass(frozen=True, eq=False)
class Game:
    """The turns that adversarial families share: who plays, for what loss, and what the critic's pictures go through.

    said:  (keys [b], batch) -> what both players are told beside their input while training; () where nothing is.
    asked: (n, cond) -> what the generator is told for n samples.
    """

    players: Players
    loss: AdversarialLoss
    latent: int
    augment: DiffAugment = DiffAugment()
    said: Callable = lambda keys, batch: ()
    asked: Callable = lambda n, cond: ()

    def init(self, key) -> tuple[dict, dict]:
        params, extra = self.players.init(key)
        return params, {**extra, **self.augment.init()}

    def draw(self, params, keys, said: tuple) -> Float[Array, "b h w c"]:
        return self.players.generate(params, normal(keys, (self.latent,)), *said)

    def judged(self, params, extra, batch, keys) -> tuple[Callable, Array, Array, dict]:
        """(D, photos, generated pictures as D is to see them, extra): what a critic's turn is about.

        D(x) knows what is said of each picture. The generator's pictures are held.
        """
        said = self.said(fold(keys, STREAM_SAID), batch)
        critic, extra = self.players.critic(params, extra)
        real = self.augment.apply(fold(keys, STREAM_REAL), batch["image"], extra)
        fake = self.augment.apply(fold(keys, STREAM_FAKE), self.draw(params, keys, said), extra)
        return lambda x: critic(x, *said), real, jax.lax.stop_gradient(fake), extra

    def critic_turn(self, params, extra, batch, keys, step):
        critic, real, fake, extra = self.judged(params, extra, batch, keys)
        on_real, on_fake = critic(real), critic(fake)
        loss = self.loss.critic(on_real, on_fake)
        told = (jnp.mean(on_real > 0) + jnp.mean(on_fake < 0)) / 2
        extra, metrics = self.augment.adapt(extra, on_real)
        return loss, (extra, {"loss/critic": loss, "critic/accuracy": told, **metrics})

    def generator_turn(self, params, extra, batch, keys, step):
        said = self.said(fold(keys, STREAM_SAID), batch)
        critic, _ = self.players.critic(params, extra)
        fake = self.augment.apply(fold(keys, STREAM_FAKE), self.draw(params, keys, said), extra)
        loss = self.loss.generator(critic(fake, *said))
        return loss, (extra, {"loss/generator": loss})

    def features(self) -> Callable | None:
        """`Method.features`: what the critic sees."""
        if self.players.sees is None:
            return None
        return lambda params, images, keys: self.players.sees(self.players.judging(params, params.get(EXTRA))[0])(
            images
        )

    def sampler(self, truncation: float) -> Callable:
        """`Method.sample` with latent numbers within +-truncation; 0 leaves them standard normal."""
        if truncation < 0:
            raise InputError(f"truncation={truncation}: must be above 0, or 0 for no limit")

        def sample(params, keys, cond):
            z = latents(keys, self.latent, truncation)
            return self.players.generate(params, z, *self.asked(keys.shape[0], cond))

        return sample


def with_r1(settings: DCGANSettings, build: Callable, conditions: tuple[str, ...] = (), **said: Callable) -> Method:
    """The game of a critic with lazy R1 and a generator, between the networks that `build` makes."""
    return game_with_r1(settings, build, conditions, **said)[0]


def game_with_r1(
    settings: DCGANSettings, build: Callable, conditions: tuple[str, ...] = (), **said: Callable
) -> tuple[Method, Game]:
    """The method of that game, and the game, for families that sample in their own way."""
    s = settings
    augment = DiffAugment(s.diffaugment, s.augment_target, s.augment_steps)
    game = Game(Players(build, s.spectral, s.precision), choose(LOSSES, s.loss, "loss"), s.latent, augment, **said)
    if s.r1_every < 1:
        raise InputError(f"r1_every={s.r1_every}: must be 1 or more steps")
    if s.stddev_group < 0 or s.stddev_group == 1:
        raise InputError(f"stddev_group={s.stddev_group}: must be 2 or more pictures, or 0 for none")

    def r1_turn(params, extra, batch, keys, step):
        critic, real, _, _ = game.judged(params, extra, batch, keys)
        penalty = r1_penalty(critic, real)
        return s.r1 * s.r1_every * penalty, (extra, {"loss/r1": penalty})

    method = Method(
        init=game.init,
        turns=(
            Turn("critic", game.critic_turn),
            Turn("critic", r1_turn, s.r1_every),
            Turn("generator", game.generator_turn),
        ),
        optim={
            "generator": optax.adam(s.generator_lr, b1=s.beta1, b2=0.99),
            "critic": optax.adam(s.critic_lr, b1=s.beta1, b2=0.99),
        },
        sample=game.sampler(s.truncation),
        ema={"generator": power_ema()},
        conditions=conditions,
        features=game.features(),
    )
    return method, game


def dcgan_players(s: DCGANSettings, spec: Spec) -> Callable:
    """key -> (generator, critic) of a DCGAN for pictures of `spec.size`."""

    def build(key):
        rngs = nnx.Rngs(params=key)
        return (
            Generator(spec.size, spec.channels, s.latent, s.width, rngs=rngs),
            Discriminator(spec.size, spec.channels, s.width, s.stddev_group, rngs=rngs),
        )

    return build


def dcgan(settings: DCGANSettings, spec: Spec) -> Method:
    """A DCGAN for pictures of `spec.size` (8, 16, 32, 64, ... px)."""
    return with_r1(settings, dcgan_players(settings, spec))
