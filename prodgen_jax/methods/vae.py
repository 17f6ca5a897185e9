"""The variational autoencoder (Kingma & Welling 2013), with a likelihood on 8-bit pixels.

ELBO(x) = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)), in nats per picture; bits/dim is -ELBO / (ln 2 * h * w * c).
The prior p(z) is learned too, as a flow: a fixed N(0, 1) keeps places that no photo is ever encoded to, and draws
from there show nothing ("holes"; Chen 2016, Variational Lossy Autoencoder, learns the prior for the same reason).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.methods.conditions import Label, asked, attributes_of, hide
from prodgen_jax.methods.core import Alarm, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.likelihood import bits_per_dim, log_likelihood
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.flow import Flow
from prodgen_jax.nets.vae import Decoder, Encoder, LabelEmbedding

STREAM_HIDE = 6  # what an example's key is folded with for the attributes that it hides
LOG_2PI = math.log(2 * math.pi)
COLLAPSED = "posterior collapse: codes hardly tell one photo from another. Lower beta, or raise warmup or free"


@dataclass(frozen=True)
class VAESettings(PrecisionSettings):
    """What `--set` reaches of a VAE."""

    latent: int = 64  # numbers in a latent vector
    flow: int = 8  # couplings of the prior's flow; 0: the prior is N(0, 1)
    width: int = 32  # channels of the widest map of both networks
    lr: float = 1e-3  # Adam's step size
    beta: float = 1.0  # weight of KL; 1 is the bound itself
    warmup: int = 500  # steps over which the weight rises from 0
    free: float = 0.0  # nats of KL per picture that cost nothing
    clip: float = 100.0  # largest gradient norm, nats per picture


def kl(mean: Float[Array, "b z"], logvar: Float[Array, "b z"]) -> Float[Array, "b"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats. Kingma & Welling 2013, appendix B."""
    return 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1 - logvar, axis=-1)


class Networks:
    """Encoder, decoder and prior as pure functions of {group: params}. ValueError if they cannot make such pictures.

    attributes: {name: number of values}, under which all three are meant; `label` holds them where there are any.
    """

    def __init__(self, settings: VAESettings, spec: Spec, attributes: Mapping[str, int] | None = None, told: int = 0):
        self.latent, self.couplings, self.told = settings.latent, settings.flow, told if attributes else 0
        self.attributes = dict(attributes or {})
        self.shape = (spec.size, spec.channels, settings.latent, settings.width, self.told)
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.plain = {name: nnx.graphdef(shapes.pop(name)) for name in ("prior", "labels") if name in shapes}
        self.nets = {name: opened(net, settings.precision) for name, net in shapes.items()}

    def build(self, key):
        rngs = nnx.Rngs(params=key)
        nets = {
            "encoder": Encoder(*self.shape, rngs=rngs),
            "decoder": Decoder(*self.shape, rngs=rngs),
            "prior": Flow(self.latent, self.couplings, told=self.told, rngs=rngs),
        }
        return nets | ({"labels": LabelEmbedding(self.attributes, self.told, rngs=rngs)} if self.attributes else {})

    def init(self, key):
        return {"vae": {name: nnx.state(net, nnx.Param) for name, net in self.build(key).items()}}, {}

    def whole(self, params, name: str) -> nnx.Module:
        """A network that computes in float32 always: a density's terms are summed, and a vector costs nothing."""
        return nnx.merge(self.plain[name], params["vae"][name], copy=True)

    def said(self, params, label: Label | None) -> tuple[Float[Array, "b e"], ...]:
        return (self.whole(params, "labels")(label),) if self.attributes else ()

    def encode(self, params, x: Float[Array, "b h w c"], label: Label | None = None) -> tuple[Array, Array]:
        """Mean and log-variance of q(z | x), [b z] each."""
        return self.nets["encoder"](params["vae"]["encoder"])(x, *self.said(params, label))

    def decode(self, params, z: Float[Array, "b z"], label: Label | None = None) -> tuple[Array, Array]:
        """Mean [b h w c] and log-scale [c] of p(x | z)."""
        return self.nets["decoder"](params["vae"]["decoder"])(z, *self.said(params, label))

    def from_noise(self, params, u: Float[Array, "b z"], label: Label | None = None) -> Float[Array, "b z"]:
        """z ~ p(z) from u ~ N(0, 1)."""
        return self.whole(params, "prior").inverse(u, *self.said(params, label))

    def to_noise(self, params, z: Float[Array, "b z"], label: Label | None = None) -> tuple[Array, Array]:
        """u [b z] that `from_noise` makes z of, and log |det du/dz| [b]."""
        return self.whole(params, "prior").forward(z, *self.said(params, label))

    def log_prior(self, params, z: Float[Array, "b z"], label: Label | None = None) -> Float[Array, "b"]:
        """log p(z) in nats."""
        u, log_det = self.to_noise(params, z, label)
        return log_det - 0.5 * jnp.sum(u**2 + LOG_2PI, axis=-1)


def elbo(
    nets: Networks, params, x: Float[Array, "b h w c"], noise: Float[Array, "b z"], label: Label | None = None
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """(E log p(x|z), KL) in nats per picture, with one draw of z; the bound is their difference. Eq. 7 and 10.

    Against N(0, 1) the KL is known; against a learned prior it is log q(z|x) - log p(z) at the same draw.
    """
    code = nets.encode(params, x, label)
    fit, cost = at_draw(nets, params, x, code, noise, label)
    return fit, cost if nets.couplings else kl(*code)


def at_draw(
    nets: Networks, params, x: Float[Array, "b h w c"], code: tuple[Array, Array], noise: Float[Array, "b z"], label
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """(log p(x|z), log q(z|x) - log p(z)) in nats at one draw of z from q, whose mean and log-variance are `code`."""
    mean, logvar = code
    z = mean + jnp.exp(0.5 * logvar) * noise  # the reparameterization, eq. 4
    cost = -0.5 * jnp.sum(logvar + noise**2 + LOG_2PI, axis=-1) - nets.log_prior(params, z, label)
    return log_likelihood(x, *nets.decode(params, z, label)), cost


def importance_bound(
    nets: Networks, params, x: Float[Array, "b h w c"], noise: Float[Array, "k b z"], label: Label | None = None
) -> Float[Array, "b"]:
    """log 1/k sum_k p(x, z_k) / q(z_k|x), nats per picture, of k draws. Burda 2016 (IWAE), eq. 8.

    A bound of log p(x) that is no lower than the ELBO, and rises to log p(x) with k.
    """
    code = nets.encode(params, x, label)
    fit, cost = jax.lax.map(lambda one: at_draw(nets, params, x, code, one, label), noise)
    return jax.nn.logsumexp(fit - cost, axis=0) - math.log(len(noise))


def method_of(s: VAESettings, nets: Networks, turn: Callable, validate: Callable | None) -> Method:
    """What all of this family share: one group, its optimizer and average, and samples, decoded from the prior."""

    def sample(params, keys, cond):
        label = asked(nets.attributes, cond, keys.shape[0])
        return nets.decode(params, nets.from_noise(params, normal(keys, (s.latent,)), label), label)[0]

    return Method(
        init=nets.init,
        turns=(Turn("vae", turn),),
        optim={"vae": optax.chain(optax.clip_by_global_norm(s.clip), optax.adam(s.lr))},
        sample=sample,
        ema={"vae": power_ema()},
        conditions=tuple(nets.attributes),
        validate=validate,
        features=lambda params, images, keys: nets.encode(params, images, asked(nets.attributes, {}, len(images)))[0],
    )


def bounded(s: VAESettings, spec: Spec, nets: Networks, drop: float = 0.0) -> Method:
    """The method that raises the bound. drop: largest rate at which a photo's attributes are hidden."""
    dims = spec.size**2 * spec.channels

    def parts(params, batch, keys, rate):
        label = hide(fold(keys, STREAM_HIDE), {name: batch["label"][name] for name in nets.attributes}, rate)
        return elbo(nets, params, batch["image"], normal(keys, (s.latent,)), label)

    def turn(params, extra, batch, keys, step):
        fit, cost = parts(params, batch, keys, drop)
        weight = s.beta * jnp.minimum(1.0, (step + 1) / max(s.warmup, 1))
        bits = bits_per_dim(fit - cost, dims).mean()
        metrics = {"loss/elbo": jnp.mean(fit - cost), "loss/kl": cost.mean(), "loss/bits_per_dim": bits}
        paid = jnp.maximum(cost, s.free) if s.free else cost  # at one draw a cost may lie below 0
        return jnp.mean(weight * paid - fit), (extra, metrics)

    def bits(params, batch, keys):
        fit, cost = parts(params, batch, keys, 0.0)
        return bits_per_dim(fit - cost, dims)

    def validate(params, batch, keys):
        return {"bits_per_dim": bits(params, batch, keys).mean()}

    alarm = Alarm("loss/kl", 1.0, 2 * s.warmup, COLLAPSED)
    return replace(method_of(s, nets, turn, validate), bits=bits, alarms=(alarm,))


def vae(settings: VAESettings, spec: Spec) -> Method:
    """A VAE for pictures of `spec.size` (8, 16, 32, 64, ... px). Sampling draws z from the prior and shows the mean."""
    return bounded(settings, spec, Networks(settings, spec))


@dataclass(frozen=True)
class CVAESettings(VAESettings):
    """What `--set` reaches of a conditional VAE: all that a VAE has, and these."""

    condition: tuple[str, ...] = ()  # attributes that condition the picture; none named: all of the set
    embedding: int = 64  # numbers in the vector that stands for them
    drop: float = 1.0  # largest rate at which a photo's attributes are hidden while training


def cvae(settings: CVAESettings, spec: Spec) -> Method:
    """A conditional VAE (Sohn 2015): encoder, decoder and prior are told attributes, any of which may be missing."""
    attributes = attributes_of("cvae", settings.condition, settings.drop, spec)
    return bounded(settings, spec, Networks(settings, spec, attributes, settings.embedding), settings.drop)


@dataclass(frozen=True)
class AESettings(VAESettings):
    """What `--set` reaches of an autoencoder. beta and warmup weigh the size of its codes, not a KL."""

    beta: float = 0.01  # weight of half the squared length of a code


def ae(settings: AESettings, spec: Spec) -> Method:
    """A regularized autoencoder (Ghosh 2020): one code per picture, kept small; no noise, and no bound.

    What its codes are distributed like is learned beside it, by the prior's flow on codes that stay (their section 4),
    so that it can be sampled from. Its bits/dim are those of the picture given its code; the code is not paid for.
    """
    s, nets = settings, Networks(settings, spec)
    dims = spec.size**2 * spec.channels

    def parts(params, x):
        code = nets.encode(params, x)[0]
        return log_likelihood(x, *nets.decode(params, code)), code

    def turn(params, extra, batch, keys, step):
        fit, code = parts(params, batch["image"])
        size = 0.5 * jnp.sum(code**2, axis=-1)
        density = nets.log_prior(params, jax.lax.stop_gradient(code))
        weight = s.beta * jnp.minimum(1.0, (step + 1) / max(s.warmup, 1))
        metrics = {"loss/rebuild": -fit.mean(), "loss/code": size.mean(), "loss/prior": -density.mean()}
        metrics["loss/bits_per_dim"] = bits_per_dim(fit, dims).mean()
        return jnp.mean(weight * size - fit - density), (extra, metrics)

    def validate(params, batch, keys):
        return {"bits_per_dim_given_code": bits_per_dim(parts(params, batch["image"])[0], dims).mean()}

    return method_of(s, nets, turn, validate)
