"""From picture to picture, learned from pairs: pix2pix (Isola 2017), pix2pixHD (Wang 2018) and SRGAN (Ledig 2017).

The pairs come from the catalog itself (`data.tasks`): a photo, and what a task leaves of it. The generator is the
network of our denoisers at one fixed time; it adds to the source what is missing, so that it begins as the identity.
The paper's generator ignored noise as an input, and dropout in its place varied little (section 3.2); ours gets none.
For SRGAN that source is the small picture, enlarged by interpolation; its critics see both, as pix2pix's do.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.data.tasks import TASKS
from prodgen_jax.errors import InputError
from prodgen_jax.methods.backbone import BACKBONES, BackboneSettings
from prodgen_jax.methods.conditions import asked
from prodgen_jax.methods.core import SOURCE, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold
from prodgen_jax.methods.gan_losses import LOSSES
from prodgen_jax.methods.guidance import hide
from prodgen_jax.methods.perception import EYE, Eye, EyeSettings, content_distance
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.nets.patchgan import Judged, ScaledCritics, beside

STREAM_HIDE, STREAM_DROPOUT = 6, 5  # what an example's key is folded with
STREAM_EYE = 2  # what the key of the first parameters is folded with for the eye's


@dataclass(frozen=True)
class Pix2PixSettings(BackboneSettings, EyeSettings, PrecisionSettings):
    """What `--set` reaches of a pix2pix."""

    task: str = "grey"  # what is left of a photo, to make it again from: grey, edges, mask, half, small2 or small4
    loss: str = "hinge"  # nonsaturating, hinge or least_squares
    l1: float = 100.0  # weight of the mean absolute error
    adversarial: float = 1.0  # weight of the critics' judgement; 0: there are no critics
    matching: float = 0.0  # weight of how unlike the pictures are in the critics' maps
    perceptual: float = 0.0  # weight of how far the pictures are from the photos to a trained eye
    scales: int = 1  # critics, each for pictures half as large as the one before
    critic_width: int = 32  # channels of a critic's first map
    generator_lr: float = 1e-3  # Adam's step size
    critic_lr: float = 2e-4  # Adam's step size
    warmup: int = 100  # steps
    clip: float = 1.0  # largest gradient norm of the generator
    condition: tuple[str, ...] = ()  # attributes, or text, that the generator is told beside the source
    drop: float = 0.1  # share of examples that hide all of them while training
    drop_each: float = 0.1  # share of examples that hide one by itself; counts from two on


@dataclass(frozen=True)
class Pix2PixHDSettings(Pix2PixSettings):
    """What `--set` reaches of a pix2pixHD: all that a pix2pix has, with its critics at two scales, and their maps."""

    scales: int = 2
    matching: float = 10.0


@dataclass(frozen=True)
class SRGANSettings(Pix2PixSettings):
    """What `--set` reaches of a super-resolution: all that a pix2pix has, with an eye beside the critics."""

    task: str = "small2"  # small2 or small4: how many times larger; any other task of a pix2pix as well
    l1: float = 20.0
    perceptual: float = 2.0
    adversarial: float = 0.2


def absolute(a: Float[Array, "b ..."], b: Float[Array, "b ..."]) -> Float[Array, ""]:
    """The mean absolute error. Isola 2017, eq. 3, per number."""
    return jnp.mean(jnp.abs(a - b))


def matching(on_real: tuple[Judged, ...], on_fake: tuple[Judged, ...]) -> Float[Array, ""]:
    """How far a generated picture's maps are from the photo's, mean over scales and maps. Wang 2018, eq. 4."""
    pairs = [pair for real, fake in zip(on_real, on_fake, strict=True) for pair in zip(real[1], fake[1], strict=True)]
    return sum(absolute(jax.lax.stop_gradient(real), fake) for real, fake in pairs) / len(pairs)


def check(s: Pix2PixSettings, spec: Spec) -> None:
    """InputError where settings cannot be, or do not fit the pictures."""
    choose(BACKBONES, s.network, "network").check("pix2pix", s, spec)
    for name in ("l1", "adversarial", "matching", "perceptual"):
        if not 0 <= getattr(s, name) < float("inf"):
            raise InputError(f"{name}={getattr(s, name)}: a weight, must be 0 or more")
    if not s.l1 + s.adversarial + s.perceptual > 0:
        raise InputError("l1=0, adversarial=0 and perceptual=0: nothing is left to learn from")
    if s.matching and not s.adversarial:
        raise InputError("matching needs critics to match in: set adversarial above 0, or matching=0")
    for name in ("drop", "drop_each", "dropout"):
        if not 0 <= getattr(s, name) < 1:
            raise InputError(f"{name}={getattr(s, name)}: a share, must be 0 or more and below 1")


class Translation:
    """Generator and critics as pure functions of {group: params}, and the turns that they play. Isola 2017, eq. 4."""

    def __init__(self, settings: Pix2PixSettings, spec: Spec):
        self.s, self.spec = settings, spec
        self.task, self.loss = choose(TASKS, settings.task, "task"), choose(LOSSES, settings.loss, "loss")
        self.said = {name: choose(spec.conditions, name, "condition") for name in settings.condition}
        self.shape = (spec.size, spec.size, spec.channels)
        jax.eval_shape(self.task, jax.ShapeDtypeStruct((1, *self.shape), jnp.float32))  # it may not fit the size
        nets = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.groups = ("generator", "critic") if settings.adversarial else ("generator",)
        self.nets = {group: opened(nets[group], settings.precision) for group in self.groups}
        self.eye = Eye(spec, settings.precision, settings.eye) if settings.perceptual else None

    def build(self, key) -> dict[str, nnx.Module]:
        s, rngs = self.s, [nnx.Rngs(params=k) for k in jax.random.split(key)]
        return {
            "generator": BACKBONES[s.network].build(s, self.spec, self.said, rngs[0]),
            "critic": ScaledCritics(self.spec.size, 2 * self.spec.channels, s.critic_width, s.scales, rngs=rngs[1]),
        }

    def init(self, key) -> tuple[dict, dict]:
        nets = self.build(key)
        eye = {EYE: self.eye.init(jax.random.fold_in(key, STREAM_EYE))} if self.eye else {}
        return {**{group: nnx.state(nets[group], nnx.Param) for group in self.groups}, **eye}, {}

    def generate(self, params, source: Float[Array, "b h w c"], label, inside=None) -> Float[Array, "b h w c"]:
        """inside: keys of what the network drops out; None: it drops nothing."""
        return source + self.nets["generator"](params["generator"])(source, jnp.zeros(len(source)), label, inside)

    def played(self, params, batch, keys) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w c"]]:
        """(the source, what is made of it), while training."""
        s, source = self.s, self.task(batch["image"])
        label = hide(fold(keys, STREAM_HIDE), {name: batch["label"][name] for name in self.said}, s.drop, s.drop_each)
        return source, self.generate(params, source, label, fold(keys, STREAM_DROPOUT) if s.dropout else None)

    def judged(self, params, source, *images: Float[Array, "b h w c"]) -> list[tuple[Judged, ...]]:
        """What the critics say of each of these, all as pictures of the source."""
        judge = self.nets["critic"](params["critic"])
        return [judge(beside(source, image)) for image in images]

    def critic_turn(self, params, extra, batch, keys, step):
        source, made = self.played(params, batch, keys)
        on_real, on_made = self.judged(params, source, batch["image"], jax.lax.stop_gradient(made))
        pairs = [(real, fake) for (real, _), (fake, _) in zip(on_real, on_made, strict=True)]
        loss = sum(self.loss.critic(*pair) for pair in pairs) / len(pairs)
        told = sum(jnp.mean(real > 0) + jnp.mean(fake < 0) for real, fake in pairs) / (2 * len(pairs))
        return loss, (extra, {"loss/critic": loss, "critic/accuracy": told})

    def generator_turn(self, params, extra, batch, keys, step):
        s, (source, made) = self.s, self.played(params, batch, keys)
        error = absolute(made, batch["image"])
        total, metrics = s.l1 * error, {"loss/l1": error}
        if self.eye:
            apart = content_distance(*(self.eye.maps(params, x) for x in (made, batch["image"])))
            total, metrics = total + s.perceptual * apart, {**metrics, "loss/perceptual": apart}
        if s.adversarial:
            on_real, on_made = self.judged(params, source, batch["image"], made)
            fooled = sum(self.loss.generator(answers) for answers, _ in on_made) / len(on_made)
            alike = matching(on_real, on_made)
            total = total + s.adversarial * fooled + s.matching * alike
            metrics |= {"loss/adversarial": fooled, "loss/matching": alike}
        return total, (extra, {"loss/generator": total, **metrics})

    def sample(self, params, keys, cond):
        """Where no source is said it is flat grey, so that a sampler can be called with nothing."""
        told = asked(self.said, {name: cond[name] for name in self.said if name in cond}, keys.shape[0])
        source = cond.get(SOURCE, jnp.zeros((keys.shape[0], *self.shape)))
        return jnp.clip(self.generate(params, source, told), -1, 1)

    def validate(self, params, batch, keys):
        told = {name: batch["label"][name] for name in self.said}
        return {"l1": absolute(self.sample(params, keys, {SOURCE: self.task(batch["image"]), **told}), batch["image"])}


def pix2pix(settings: Pix2PixSettings, spec: Spec) -> Method:
    """The game of a generator that is given a source, and of critics that see both."""
    check(settings, spec)
    s, game = settings, Translation(settings, spec)
    turns = {"critic": Turn("critic", game.critic_turn), "generator": Turn("generator", game.generator_turn)}
    rate = optax.linear_schedule(0.0, s.generator_lr, s.warmup)
    optim = {
        "generator": optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(rate, b1=0.9, b2=0.99)),
        "critic": optax.adam(s.critic_lr, b1=0.5, b2=0.999),
    }
    return Method(
        init=game.init,
        turns=tuple(turn for group, turn in turns.items() if group in game.groups),
        optim={group: optim[group] for group in game.groups},
        sample=game.sample,
        ema={"generator": power_ema()},
        conditions=tuple(game.said),
        validate=game.validate,
        source=game.task,
    )
