"""Text to image in two stages (unCLIP, Ramesh 2022): a line's embedding, a photo's embedding, a photo.

A run has two spans. In the first a contrastive model lays photos and lines of words on one sphere. Then that stays, and
two denoisers learn side by side: a prior, which draws a photo's embedding for a line's, and a decoder, which draws a
photo for an embedding. A line is one point where its photos are many, and in a large model lies apart from them; so a
decoder that is handed the line's own embedding (`prior=false`) is handed what no photo had.
"""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from prodgen_jax.data.captions import EMBEDDING, TEXT
from prodgen_jax.errors import InputError
from prodgen_jax.methods.conditions import asked
from prodgen_jax.methods.contrastive import Towers, TowerSettings, on_sphere
from prodgen_jax.methods.core import Method, Turn
from prodgen_jax.methods.denoiser import check, denoiser, denoising_loss, estimate
from prodgen_jax.methods.diffusion import FlowSettings, flow_frame
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.guidance import blend
from prodgen_jax.methods.precision import opened
from prodgen_jax.methods.samplers import sample_loop
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.towers import PriorNet

STREAM_PRIOR = 10  # what an example's key is folded with for all that the prior draws


@dataclass(frozen=True)
class UnCLIPSettings(FlowSettings, TowerSettings):
    """What `--set` reaches of an unCLIP: a flow's settings, which are the decoder's, the towers', and these."""

    condition: tuple[str, ...] = (TEXT,)  # text, and nothing else
    first_stage: int = 2000  # steps that train the towers, 0 where they come by --from; later ones prior and decoder
    prior: bool = True  # draw a photo's embedding for a line's; false hands the line's own to the decoder
    prior_width: int = 256  # numbers inside the prior
    prior_depth: int = 4  # its blocks
    prior_lr: float = 1e-3  # Adam's step size there
    prior_guidance: float = 2.0  # how far the line moves its draws; 1 is off, above 1 exaggerates what the words say


class Prior:
    """A flow over embeddings, told a line's, as pure functions of {group: params}. Ramesh 2022, section 2.2.

    Embeddings are a unit wide in every number here, as pictures and codes are for their denoisers.
    """

    def __init__(self, s: UnCLIPSettings):
        self.s, self.frame = s, flow_frame(s)
        self.net = opened(nnx.eval_shape(lambda: self.build(jax.random.key(0))), s.precision)

    def build(self, key) -> PriorNet:
        return PriorNet(self.s.embedding, self.s.prior_width, self.s.prior_depth, rngs=nnx.Rngs(params=key))

    def told(self, params, line: Float[Array, "b d"], said: Bool[Array, "b"]):
        """The network where lines are known. said: False where nothing is, which 0 stands for."""
        line = jnp.where(said[:, None], line, 0.0)
        return lambda x, t: self.net(params["prior"])(x, t, line)

    def turn(self, params, extra, embedding: Float[Array, "b d"], line: Float[Array, "b d"], keys):
        k_time, k_noise, k_hide = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        said = ~jax.vmap(lambda key: jax.random.bernoulli(key, self.s.drop))(k_hide)
        t, eps = jax.vmap(self.frame.draw_time)(k_time), normal(k_noise, embedding.shape[1:])
        loss = denoising_loss(self.frame, self.told(params, line, said), embedding, t, eps)[0].mean()
        return loss, (extra, {"loss/prior": loss})

    def draw(self, params, keys, line: Float[Array, "b d"], said: Bool[Array, "b"]) -> Float[Array, "b d"]:
        """An embedding for each line, or for nothing said; guided (Ho & Salimans 2022, eq. 6)."""
        frame, scale = self.frame, self.s.prior_guidance
        net, blank = self.told(params, line, said), self.told(params, line, jnp.zeros_like(said))

        def denoise(x, p):
            known = estimate(frame, net, x, p)
            return known if scale == 1 else blend(known, estimate(frame, blank, x, p), scale, 0.0)

        return sample_loop(denoise, frame.rule, frame.path(frame.times), keys, line.shape[1:])


def decoder_of(s: UnCLIPSettings, spec: Spec) -> Method:
    """A flow over pixels that is told a photo's embedding, a unit wide in every number."""
    seen = replace(spec, attributes={}, words=0, embedding=s.embedding)
    return denoiser(replace(s, condition=(EMBEDDING,)), seen, flow_frame(s))


def check_unclip(s: UnCLIPSettings, spec: Spec) -> None:
    """InputError where settings, words and the picture's size do not fit together."""
    if s.condition != (TEXT,):
        raise InputError(f"condition={','.join(s.condition)}: an unclip is told text alone; leave condition out")
    if s.task:
        raise InputError(f"task={s.task}: an unclip begins from words; leave task empty, or train ddpm with it")
    for name, least in (("first_stage", 0), ("embedding", 1), ("prior_width", 1), ("prior_depth", 1)):
        if getattr(s, name) < least:
            raise InputError(f"{name}={getattr(s, name)}: must be {least} or more")
    if not 0 <= s.prior_guidance < math.inf:
        raise InputError(f"prior_guidance={s.prior_guidance}: must be a number from 0 on; 1 is off")
    check("unclip", s, spec)


def unclip(s: UnCLIPSettings, spec: Spec) -> Method:
    """Towers, prior and decoder, for pictures of `spec.size` (a multiple of 8, as the decoder's network allows)."""
    check_unclip(s, spec)
    towers, prior, unit = Towers(s, spec, s.precision), Prior(s), math.sqrt(s.embedding)
    decoder, begins = decoder_of(s, spec), s.first_stage
    (decode,) = decoder.turns

    def shown(params, batch):
        """The batch as the decoder knows it: told each photo's own embedding."""
        return {**batch, "label": {EMBEDDING: unit * towers.picture(params, batch["image"])}}

    def prior_turn(params, extra, batch, keys, step):
        pairs = (unit * towers.picture(params, batch["image"]), unit * towers.line(params, batch["label"][TEXT]))
        return prior.turn(params, extra, *pairs, fold(keys, STREAM_PRIOR))

    def decoder_turn(params, extra, batch, keys, step):
        return decode.loss(params, extra, shown(params, batch), keys, step)

    def imagined(params, keys, cond) -> dict[str, Float[Array, "n d"]]:
        """What the decoder is told: an embedding for each line; for the ones that say nothing one of any photo."""
        text: Int[Array, "n l"] = asked({TEXT: spec.words}, cond, keys.shape[0])[TEXT]
        line, said = unit * towers.line(params, text), (text >= 0).any(-1)
        if not s.prior:
            return {EMBEDDING: jnp.where(said[:, None], line, -1.0)}
        return {EMBEDDING: unit * on_sphere(prior.draw(params, fold(keys, STREAM_PRIOR), line, said))}

    def init(key):
        k_towers, k_prior, k_decoder = jax.random.split(key, 3)
        own = {"towers": towers.init(k_towers), "prior": nnx.state(prior.build(k_prior), nnx.Param)}
        return {**own, **decoder.init(k_decoder)[0]}, {}

    clipped, later = optax.clip_by_global_norm(s.clip), (begins, math.inf)
    average = decoder.ema[s.network]
    return replace(
        decoder,
        init=init,
        turns=(
            Turn("towers", towers.turn, span=(0, begins)),
            Turn("prior", prior_turn, span=later),
            replace(decode, loss=decoder_turn, span=later),
        ),
        optim={
            "towers": optax.chain(clipped, optax.adam(optax.cosine_decay_schedule(s.tower_lr, max(begins, 1)))),
            "prior": optax.chain(clipped, optax.adam(s.prior_lr)),
            **decoder.optim,
        },
        sample=lambda params, keys, cond: decoder.sample(params, keys, imagined(params, keys, cond)),
        edit=lambda params, keys, cond, *more: decoder.edit(params, keys, imagined(params, keys, cond), *more),
        ema={group: lambda step: average(jnp.maximum(step - begins, 0)) for group in ("prior", s.network)},
        conditions=(TEXT,),
        bits=None,
        validate=lambda params, batch, keys: decoder.validate(params, shown(params, batch), keys),
        features=lambda params, images, keys: towers.picture(params, images),
    )
