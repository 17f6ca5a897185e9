"""The variational autoencoder (Kingma & Welling 2013), with a likelihood on 8-bit pixels.

ELBO(x) = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)), in nats per picture; bits/dim is -ELBO / (ln 2 * h * w * c).
The prior p(z) is learned too, as a flow: a fixed N(0, 1) keeps places that no photo is ever encoded to, and draws
from there show nothing ("holes"; Chen 2016, Variational Lossy Autoencoder, learns the prior for the same reason).
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.core import Method, Turn, power_ema
from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.flow import Flow
from prodgen_jax.nets.vae import Decoder, Encoder

LOG_2PI = math.log(2 * math.pi)
HALF_STEP = 1 / 255  # half the distance of two 8-bit levels on [-1, 1]


@dataclass(frozen=True)
class VAESettings(PrecisionSettings):
    """What `--set` reaches of a VAE."""

    latent: int = 64  # numbers in a latent vector
    flow: int = 8  # couplings of the prior's flow; 0: the prior is N(0, 1)
    width: int = 32  # channels of the widest map of both networks
    lr: float = 1e-3  # Adam's step size
    beta: float = 1.0  # weight of KL; 1 is the bound itself
    warmup: int = 500  # steps over which the weight rises from 0
    clip: float = 100.0  # largest gradient norm, nats per picture


def kl(mean: Float[Array, "b z"], logvar: Float[Array, "b z"]) -> Float[Array, "b"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats. Kingma & Welling 2013, appendix B."""
    return 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1 - logvar, axis=-1)


def log_likelihood(
    x: Float[Array, "b h w c"], mean: Float[Array, "b h w c"], log_scale: Float[Array, "c"]
) -> Float[Array, "b"]:
    """log P of the 8-bit levels under a logistic cut into 256 bins, in nats. PixelCNN++ (Salimans 2017), eq. 2.

    x lies on the 256 levels in [-1, 1]; the outermost bins reach to infinity, so the bins sum to one.
    """
    rate = jnp.exp(-log_scale)
    upper, lower = (x - mean + HALF_STEP) * rate, (x - mean - HALF_STEP) * rate
    inside = upper - lower  # log(sigmoid(a) - sigmoid(b)) = a + log(1 - e^(b-a)) - softplus(a) - softplus(b) with a > b
    middle = upper + jnp.log(-jnp.expm1(-inside)) - nnx.softplus(upper) - nnx.softplus(lower)
    log_p = jnp.where(x < -0.999, -nnx.softplus(-upper), jnp.where(x > 0.999, -nnx.softplus(lower), middle))
    return log_p.sum((1, 2, 3))


def bits_per_dim(nats: Float[Array, "b"], dims: int) -> Float[Array, "b"]:
    """A log-likelihood (or bound) of a picture in nats as bits for each of its numbers."""
    return -nats / (jnp.log(2.0) * dims)


class Networks:
    """Encoder and decoder as pure functions of {group: params}. ValueError if they cannot make such pictures."""

    def __init__(self, settings: VAESettings, spec: Spec):
        self.latent, self.couplings = settings.latent, settings.flow
        self.shape = (spec.size, spec.channels, settings.latent, settings.width)
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.prior = nnx.graphdef(shapes.pop("prior"))
        self.nets = {name: opened(net, settings.precision) for name, net in shapes.items()}

    def build(self, key):
        rngs = nnx.Rngs(params=key)
        return {
            "encoder": Encoder(*self.shape, rngs=rngs),
            "decoder": Decoder(*self.shape, rngs=rngs),
            "prior": Flow(self.latent, self.couplings, rngs=rngs),
        }

    def init(self, key):
        return {"vae": {name: nnx.state(net, nnx.Param) for name, net in self.build(key).items()}}, {}

    def flow(self, params) -> Flow:
        """The prior. It computes in float32 always: a density's terms are summed, and a vector costs nothing."""
        return nnx.merge(self.prior, params["vae"]["prior"], copy=True)

    def encode(self, params, x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        """Mean and log-variance of q(z | x)."""
        return self.nets["encoder"](params["vae"]["encoder"])(x)

    def decode(self, params, z: Float[Array, "b z"]) -> tuple[Float[Array, "b h w c"], Float[Array, "c"]]:
        """Mean and log-scale of p(x | z)."""
        return self.nets["decoder"](params["vae"]["decoder"])(z)

    def from_noise(self, params, u: Float[Array, "b z"]) -> Float[Array, "b z"]:
        """z ~ p(z) from u ~ N(0, 1)."""
        return self.flow(params).inverse(u)

    def log_prior(self, params, z: Float[Array, "b z"]) -> Float[Array, "b"]:
        """log p(z) in nats."""
        u, log_det = self.flow(params).forward(z)
        return log_det - 0.5 * jnp.sum(u**2 + LOG_2PI, axis=-1)


def elbo(
    nets: Networks, params, x: Float[Array, "b h w c"], noise: Float[Array, "b z"]
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """(E log p(x|z), KL) in nats per picture, with one draw of z; the bound is their difference. Eq. 7 and 10.

    Against N(0, 1) the KL is known; against a learned prior it is log q(z|x) - log p(z) at the same draw.
    """
    mean, logvar = nets.encode(params, x)
    z = mean + jnp.exp(0.5 * logvar) * noise  # the reparameterization, eq. 4
    if nets.couplings:
        cost = -0.5 * jnp.sum(logvar + noise**2 + LOG_2PI, axis=-1) - nets.log_prior(params, z)
    else:
        cost = kl(mean, logvar)
    return log_likelihood(x, *nets.decode(params, z)), cost


def vae(settings: VAESettings, spec: Spec) -> Method:
    """A VAE for pictures of `spec.size` (8, 16, 32, 64, ... px). Sampling draws z from the prior and shows the mean."""
    s, nets = settings, Networks(settings, spec)
    dims = spec.size**2 * spec.channels

    def turn(params, extra, batch, keys, step):
        fit, cost = elbo(nets, params, batch["image"], normal(keys, (s.latent,)))
        weight = s.beta * jnp.minimum(1.0, (step + 1) / max(s.warmup, 1))
        bits = bits_per_dim(fit - cost, dims).mean()
        metrics = {"loss/elbo": jnp.mean(fit - cost), "loss/kl": cost.mean(), "loss/bits_per_dim": bits}
        return jnp.mean(weight * cost - fit), (extra, metrics)

    def validate(params, batch, keys):
        bound, cost = elbo(nets, params, batch["image"], normal(keys, (s.latent,)))
        return {"bits_per_dim": bits_per_dim(bound - cost, dims).mean()}

    return Method(
        init=nets.init,
        turns=(Turn("vae", turn),),
        optim={"vae": optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(s.lr))},
        sample=lambda params, keys, cond: nets.decode(params, nets.from_noise(params, normal(keys, (s.latent,))))[0],
        ema={"vae": power_ema()},
        validate=validate,
    )
