"""Latent diffusion (Rombach 2022): a denoiser of small maps of codes, between an autoencoder's two halves.

A run has two spans. In the first an autoencoder learns to say a photo in a map of codes, a quarter as large on a side.
Then it stays, and a flow learns what such maps look like: the same denoiser as over pixels, which is told nothing of
the change. Where a picture's detail is the decoder's business, the denoiser's steps cost a fraction of a pixel
model's.
"""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import EXTRA, Method, Turn
from prodgen_jax.methods.denoiser import check, denoiser
from prodgen_jax.methods.diffusion import FlowSettings, flow_frame
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.likelihood import bits_per_dim, log_likelihood
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.methods.vae import kl
from prodgen_jax.nets.vqvae import HALVINGS, MapDecoder, MapEncoder

STREAM_CODE = 9  # what an example's key is folded with for the draw of its codes
MEMORY = 0.99  # of the codes' running mean and mean square, per step


@dataclass(frozen=True)
class LatentSettings(FlowSettings):
    """What `--set` reaches of a latent diffusion: a flow's settings, which count codes for pixels, and these."""

    first_stage: int = 2000  # steps that train the autoencoder, 0 where it comes by --from; later ones the denoiser
    code: int = 6  # channels of the map of codes
    code_width: int = 32  # channels of the autoencoder's widest map, over two
    code_lr: float = 3e-3  # Adam's first step size there; it falls to 0 along a cosine
    time_mean: float = 0.4  # a flow's and ln 2: codes are a unit wide, twice as wide as pixels, and meet as much noise
    code_kl: float = 0.3  # weight of the codes' KL to N(0, 1): below 1, so that they keep more detail than a VAE would
    multipliers: tuple[int, ...] = (2, 3)  # channels of each level, in widths
    patch: int = 1  # codes on a side that one position of the finest level holds
    dit_patch: int = 1  # codes on a side


class Autoencoder:
    """The first stage as pure functions of {group: params}, and the scale that makes its codes a unit wide."""

    def __init__(self, s: LatentSettings, spec: Spec):
        self.shape = (spec.size // 2**HALVINGS, spec.size // 2**HALVINGS, s.code)
        self.s, self.channels = s, spec.channels
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.nets = {name: opened(net, s.precision) for name, net in shapes.items()}

    def build(self, key) -> dict[str, nnx.Module]:
        rngs = nnx.Rngs(params=key)
        return {
            "encoder": MapEncoder(self.channels, self.s.code_width, 2 * self.s.code, rngs=rngs),
            "decoder": MapDecoder(self.channels, self.s.code_width, self.s.code, rngs=rngs),
        }

    def encode(self, params, x: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        """Mean and log-variance of the codes, [b h/4 w/4 d] each."""
        return tuple(jnp.split(self.nets["encoder"](params["autoencoder"]["encoder"])(x), 2, axis=-1))

    def decode(self, params, z: Float[Array, "b h w d"]) -> tuple[Array, Array]:
        """Mean [b 4h 4w c] and log-scale [c] of the picture."""
        return self.nets["decoder"](params["autoencoder"]["decoder"])(z)

    def draw(self, params, x: Float[Array, "b h w c"], keys) -> tuple[Float[Array, "b h w d"], Float[Array, "b"]]:
        """Codes of pictures, one draw each, and their KL to N(0, 1) in nats."""
        mean, logvar = self.encode(params, x)
        z = mean + jnp.exp(0.5 * logvar) * normal(fold(keys, STREAM_CODE), self.shape)
        return z, kl(mean.reshape(len(x), -1), logvar.reshape(len(x), -1))


def scale_of(extra: dict) -> tuple[Float[Array, "d"], Float[Array, "d"]]:
    """Mean and deviation of each channel of the codes, over photos and places."""
    return extra["mean"], jnp.sqrt(jnp.maximum(extra["square"] - extra["mean"] ** 2, 1e-6))


def follow(extra: dict, z: Float[Array, "b h w d"]) -> dict:
    """The running mean and mean square after a step; averaged over devices by `train_step`."""
    now = {"mean": z.mean((0, 1, 2)), "square": (z**2).mean((0, 1, 2))}
    return {name: MEMORY * extra[name] + (1 - MEMORY) * now[name] for name in extra}


def check_latent(s: LatentSettings, spec: Spec) -> None:
    """InputError where settings and the picture's size do not fit together."""
    if s.first_stage < 0:
        raise InputError(f"first_stage={s.first_stage}: must be 0 or more steps")
    if s.task:
        raise InputError(f"task={s.task}: codes are drawn from noise alone; leave task empty, or train ddpm with it")
    if s.code_kl < 0 or s.code < 1:
        raise InputError(f"code={s.code}, code_kl={s.code_kl}: must be 1 or more, and 0 or more")
    if spec.size % 2**HALVINGS:
        raise InputError(f"latent: pictures of {spec.size} px are not a multiple of {2**HALVINGS}")


def latent(s: LatentSettings, spec: Spec) -> Method:
    """A flow over the codes of an autoencoder, for pictures of `spec.size` (a multiple of 4, as the network allows)."""
    check_latent(s, spec)
    coder, dims = Autoencoder(s, spec), spec.size**2 * spec.channels
    codes = replace(spec, size=coder.shape[0], channels=s.code)
    check("latent: codes, as", s, codes)
    inner = denoiser(s, codes, flow_frame(s), limit=math.inf)  # codes have no bounds to hold estimates to
    (turn,), begins = inner.turns, s.first_stage

    def coded(params, extra, batch, keys):
        """The batch as the denoiser knows it: codes for pictures."""
        mean, deviation = scale_of(extra)
        return {**batch, "image": (coder.draw(params, batch["image"], keys)[0] - mean) / deviation}

    def code_turn(params, extra, batch, keys, step):
        z, cost = coder.draw(params, batch["image"], keys)
        fit = log_likelihood(batch["image"], *coder.decode(params, z))
        metrics = {"loss/rebuild": -fit.mean(), "loss/kl": cost.mean()}
        metrics["loss/bits_per_dim"] = bits_per_dim(fit - cost, dims).mean()
        return jnp.mean(s.code_kl * cost - fit), (follow(extra, z), metrics)

    def code_loss(params, extra, batch, keys, step):
        return turn.loss(params, extra, coded(params, extra, batch, keys), keys, step)

    def init(key):
        k_coder, k_inner = jax.random.split(key)
        params, _ = inner.init(k_inner)
        coders = {name: nnx.state(net, nnx.Param) for name, net in coder.build(k_coder).items()}
        return {"autoencoder": coders, **params}, {"mean": jnp.zeros(s.code), "square": jnp.ones(s.code)}

    def sample(params, keys, cond):
        mean, deviation = scale_of(params[EXTRA])
        return coder.decode(params, mean + deviation * inner.sample(params, keys, cond))[0]

    def validate(params, batch, keys):
        return inner.validate(params, coded(params, params[EXTRA], batch, keys), keys)

    def features(params, images, keys):
        return inner.features(params, coded(params, params[EXTRA], {"image": images}, keys)["image"], keys)

    falling = optax.cosine_decay_schedule(s.code_lr, max(begins, 1))
    first = optax.chain(optax.clip_by_global_norm(100.0), optax.adam(falling))
    average = inner.ema[s.network]
    return replace(
        inner,
        init=init,
        turns=(
            Turn("autoencoder", code_turn, span=(0, begins)),
            replace(turn, loss=code_loss, span=(begins, math.inf)),
        ),
        optim={"autoencoder": first, **inner.optim},
        sample=sample,
        edit=None,
        bits=None,
        ema={s.network: lambda step: average(jnp.maximum(step - begins, 0))},
        validate=validate,
        features=features,
    )
