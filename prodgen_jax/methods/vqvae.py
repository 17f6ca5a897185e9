"""VQ-VAE (van den Oord 2017): a picture as a small map of codes, and a prior that writes such maps code by code.

The codebook is no parameter: it follows the vectors that were assigned to each code (their appendix A.1), and a code
that nobody uses begins again at a vector of the present batch. Encoding is certain, so the bound is
log p(x | codes) + log p(codes), and its bits/dim stand beside a VAE's.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from prodgen_jax.errors import InputError
from prodgen_jax.methods.conditions import asked, attributes_of, hide
from prodgen_jax.methods.core import AXIS, EXTRA, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold
from prodgen_jax.methods.likelihood import bits_per_dim, log_likelihood
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec
from prodgen_jax.methods.vae import STREAM_HIDE
from prodgen_jax.nets.vqvae import HALVINGS, CodePrior, MapDecoder, MapEncoder

STREAM_RESTART = 8  # what an example's key is folded with for the codes that begin again at it


@dataclass(frozen=True)
class VQVAESettings(PrecisionSettings):
    """What `--set` reaches of a VQ-VAE."""

    codes: int = 512  # in the codebook
    code: int = 32  # numbers in a code's vector
    width: int = 32  # channels of the widest map of encoder and decoder, over two
    commit: float = 1.0  # weight of the squared distance of a vector to its code
    decay: float = 0.99  # of the codebook's running counts and sums
    restart: float = 0.05  # uses per step, averaged, under which a code begins again
    prior_width: int = 96  # numbers that describe a place of the prior's transformer
    prior_depth: int = 3  # its blocks
    lr: float = 1e-3  # Adam's step size, encoder and decoder
    prior_lr: float = 1e-3  # Adam's step size, prior
    clip: float = 100.0  # largest gradient norm, nats per picture
    condition: tuple[str, ...] = ()  # attributes that the prior is told
    drop: float = 1.0  # largest rate at which they are hidden while training
    temperature: float = 1.0  # of the prior's draws: below 1 it keeps to what is likelier


def book_of(extra: dict) -> Float[Array, "codes d"]:
    """The codes' vectors: the running mean of what was assigned to each."""
    return extra["sum"] / extra["count"][:, None]


def nearest(z: Float[Array, "... d"], book: Float[Array, "codes d"]) -> Int[Array, "..."]:
    """The code whose vector lies nearest to each z. Van den Oord 2017, eq. 1."""
    return jnp.argmin(jnp.sum(book**2, axis=-1) - 2 * z @ book.T, axis=-1)


def perplexity(uses: Float[Array, "codes"]) -> Float[Array, ""]:
    """How many codes are in use, were all used alike: exp of the entropy of their shares."""
    share = uses / uses.sum()
    return jnp.exp(-jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-12)), 0)))


def vectors_drawn(keys, z: Float[Array, "b n d"], codes: int) -> Float[Array, "codes d"]:
    """For each code one of the batch's vectors, over all devices: each example draws a number, the least one gives."""

    def one(key, own):
        k_score, k_place = jax.random.split(key)
        places = jax.random.randint(k_place, (codes,), 0, own.shape[0])
        return jax.random.uniform(k_score, (codes,)), own[places]

    scores, vectors = jax.vmap(one)(keys, z)
    best = scores.argmin(0)
    score, vector = scores[best, jnp.arange(codes)], vectors[best, jnp.arange(codes)]
    mine = score == jax.lax.pmin(score, AXIS)
    return jax.lax.psum(jnp.where(mine[:, None], vector, 0), AXIS)


def follow(
    extra: dict, z: Float[Array, "b n d"], codes: Int[Array, "b n"], keys, decay: float, restart: float
) -> tuple[dict, Float[Array, "codes"]]:
    """(the codebook after a step, how often each code was used in it). Van den Oord 2017, eq. 6 to 8."""
    k = len(extra["count"])
    flat, places = z.reshape(-1, z.shape[-1]), codes.ravel()
    uses = jax.lax.psum(jnp.zeros(k).at[places].add(1), AXIS)
    total = jax.lax.psum(jnp.zeros((k, flat.shape[1])).at[places].add(flat), AXIS)
    count, summed = (decay * extra[name] + (1 - decay) * new for name, new in (("count", uses), ("sum", total)))
    unused = count < restart
    anew = vectors_drawn(keys, z, k)
    count = jnp.where(unused, 1.0, count)
    return {"count": count, "sum": jnp.where(unused[:, None], anew, summed)}, uses


class Networks:
    """Encoder, decoder and prior as pure functions of {group: params}; the codebook is params[EXTRA]."""

    def __init__(self, s: VQVAESettings, spec: Spec, attributes: dict[str, int]):
        if spec.size % 2**HALVINGS:
            raise InputError(f"vqvae: pictures of {spec.size} px are not a multiple of {2**HALVINGS}")
        self.s, self.side, self.channels, self.attributes = s, spec.size // 2**HALVINGS, spec.channels, attributes
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.nets = {name: opened(net, s.precision) for name, net in shapes.items() if name != "prior"}
        self.graph = nnx.graphdef(shapes["prior"])

    def build(self, key):
        s, rngs = self.s, nnx.Rngs(params=key)
        shape = (s.codes, self.side**2, s.prior_width, s.prior_depth)
        return {
            "encoder": MapEncoder(self.channels, s.width, s.code, rngs=rngs),
            "decoder": MapDecoder(self.channels, s.width, s.code, rngs=rngs),
            "prior": CodePrior(*shape, self.attributes, rngs=rngs),
        }

    def init(self, key):
        params = {name: nnx.state(net, nnx.Param) for name, net in self.build(key).items()}
        book = jax.random.normal(jax.random.fold_in(key, 1), (self.s.codes, self.s.code))
        extra = {"count": jnp.ones(self.s.codes), "sum": book}
        return {"prior": params.pop("prior"), "vqvae": params}, extra

    def encode(self, params, x: Float[Array, "b h w c"]) -> Float[Array, "b n d"]:
        """A vector per place, in reading order."""
        z = self.nets["encoder"](params["vqvae"]["encoder"])(x)
        return z.reshape(len(x), -1, self.s.code)

    def decode(self, params, vectors: Float[Array, "b n d"]) -> tuple[Float[Array, "b h w c"], Float[Array, "c"]]:
        """Mean and log-scale of p(x | codes)."""
        shape = (len(vectors), self.side, self.side, self.s.code)
        return self.nets["decoder"](params["vqvae"]["decoder"])(vectors.reshape(shape))

    def logits(self, params, codes: Int[Array, "b n"], label) -> Float[Array, "b n codes"]:
        """Of each code given those before it."""
        return nnx.merge(self.graph, params["prior"], copy=True)(codes, label)

    def log_prior(self, params, codes: Int[Array, "b n"], label) -> Float[Array, "b"]:
        """log p(codes) in nats."""
        return -optax.softmax_cross_entropy_with_integer_labels(self.logits(params, codes, label), codes).sum(-1)

    def write(self, params, keys, label) -> Int[Array, "b n"]:
        """Codes from the prior, one after the other; each picture's draws follow from its key."""

        prior = nnx.merge(self.graph, params["prior"], copy=True)

        def one(carried, i):
            before, memory = carried
            scores, memory = prior.next(before, i, memory, label)
            own = jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
            code = jax.vmap(jax.random.categorical)(own, scores / self.s.temperature)
            return (code, memory), code

        b = keys.shape[0]
        start = jnp.full(b, -1), prior.memory(b)
        return jax.lax.scan(one, start, jnp.arange(self.side**2))[1].T


def vqvae(s: VQVAESettings, spec: Spec) -> Method:
    """A VQ-VAE and its prior, trained side by side; `sample` writes codes by the prior and shows the decoder's mean."""
    for name, fits, must in (
        ("codes", s.codes >= 2, "be 2 or more"),
        ("decay", 0 <= s.decay < 1, "be 0 or more and below 1"),
        ("temperature", s.temperature > 0, "be above 0"),
    ):
        if not fits:
            raise InputError(f"{name}={getattr(s, name)}: must {must}")
    attributes = attributes_of("vqvae", s.condition, s.drop, spec) if s.condition else {}
    nets, dims = Networks(s, spec, attributes), spec.size**2 * spec.channels

    def picture_turn(params, extra, batch, keys, step):
        x, book = batch["image"], book_of(extra)
        z = nets.encode(params, x)
        codes = nearest(z, book)
        shown = z + jax.lax.stop_gradient(book[codes] - z)  # the gradient passes straight through, section 3.2
        fit = log_likelihood(x, *nets.decode(params, shown))
        far = jnp.sum((z - jax.lax.stop_gradient(book[codes])) ** 2, axis=(1, 2))
        still = jax.lax.stop_gradient(z)
        after, uses = follow(extra, still, codes, fold(keys, STREAM_RESTART), s.decay, s.restart)
        metrics = {"loss/rebuild": -fit.mean(), "loss/commit": far.mean(), "loss/perplexity": perplexity(uses)}
        return jnp.mean(s.commit * far - fit), (after, metrics)

    def told(keys, batch, rate):
        return hide(fold(keys, STREAM_HIDE), {name: batch["label"][name] for name in attributes}, rate)

    def prior_turn(params, extra, batch, keys, step):
        codes = jax.lax.stop_gradient(nearest(nets.encode(params, batch["image"]), book_of(extra)))
        nats = -nets.log_prior(params, codes, told(keys, batch, s.drop)).mean()
        return nats, (extra, {"loss/prior": nats})

    def bits(params, batch, keys):
        book = book_of(params[EXTRA])
        codes = nearest(nets.encode(params, batch["image"]), book)
        fit = log_likelihood(batch["image"], *nets.decode(params, book[codes]))
        return bits_per_dim(fit + nets.log_prior(params, codes, told(keys, batch, 0.0)), dims)

    def validate(params, batch, keys):
        return {"bits_per_dim": bits(params, batch, keys).mean()}

    def sample(params, keys, cond):
        codes = nets.write(params, keys, asked(attributes, cond, keys.shape[0]))
        return nets.decode(params, book_of(params[EXTRA])[codes])[0]

    clipped = optax.clip_by_global_norm(s.clip)
    return Method(
        init=nets.init,
        turns=(Turn("vqvae", picture_turn), Turn("prior", prior_turn)),
        optim={"vqvae": optax.chain(clipped, optax.adam(s.lr)), "prior": optax.chain(clipped, optax.adam(s.prior_lr))},
        sample=sample,
        ema={"prior": power_ema()},
        conditions=tuple(attributes),
        validate=validate,
        bits=bits,
        features=lambda params, images, keys: nets.encode(params, images).reshape(len(images), -1),
    )
