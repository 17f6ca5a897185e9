"""A variational autoencoder whose pictures a critic judges: VAE-GAN (Larsen 2016).

A VAE compares a photo with its reconstruction pixel by pixel, so it answers doubt with a blur. Here the two are
compared in a map of the critic, which has learned what tells photos from made pictures, and the decoder must also
pass for real in what it draws from the prior. Three players: encoder, decoder, critic.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Alarm, Method, Turn, power_ema
from prodgen_jax.methods.gan import fold, normal
from prodgen_jax.methods.gan_losses import LOSSES, r1_penalty
from prodgen_jax.methods.precision import PrecisionSettings, opened
from prodgen_jax.methods.spec import Spec, choose
from prodgen_jax.methods.vae import COLLAPSED, kl
from prodgen_jax.nets.dcgan import Generator, Watched, doublings
from prodgen_jax.nets.vae import Encoder

STREAM_DRAWN = 2  # what an example's key is folded with for the vector that is drawn from the prior


@dataclass(frozen=True)
class VAEGANSettings(PrecisionSettings):
    """What `--set` reaches of a VAE-GAN."""

    latent: int = 64  # numbers in a latent vector
    width: int = 32  # channels of the widest map of all three networks
    lr: float = 5e-4  # Adam's step size, of every player
    beta1: float = 0.5  # Adam's momentum
    loss: str = "nonsaturating"  # nonsaturating, hinge, or least_squares
    layer: int = -2  # of the critic's maps, where photo and reconstruction are compared; 0: the pictures, -1: the last
    beta: float = 1.0  # weight of KL beside the reconstruction
    gamma: float = 50.0  # weight of the reconstruction beside the critic's verdict, in the decoder's loss
    r1: float = 0.2  # weight of the gradient penalty on real photos
    r1_every: int = 16  # steps between two penalties; each counts so many times as much


class Networks:
    """Encoder, decoder and critic as pure functions of {group: params}."""

    def __init__(self, settings: VAEGANSettings, spec: Spec):
        self.settings, self.spec = settings, spec
        shapes = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        self.nets = {name: opened(net, settings.precision) for name, net in shapes.items()}

    def build(self, key) -> dict[str, nnx.Module]:
        s, rngs = self.settings, nnx.Rngs(params=key)
        shape = (self.spec.size, self.spec.channels)
        return {
            "encoder": Encoder(*shape, s.latent, s.width, rngs=rngs),
            "decoder": Generator(*shape, s.latent, s.width, rngs=rngs),
            "critic": Watched(*shape, s.width, layer=s.layer, rngs=rngs),
        }

    def init(self, key) -> tuple[dict, dict]:
        return {name: nnx.state(net, nnx.Param) for name, net in self.build(key).items()}, {}

    def encode(self, params, x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        """Mean and log-variance of q(z | x)."""
        return self.nets["encoder"](params["encoder"])(x)

    def decode(self, params, z: Float[Array, "b z"]) -> Float[Array, "b h w c"]:
        return self.nets["decoder"](params["decoder"])(z)

    def judge(self, params, x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b"], Float[Array, "b f"]]:
        """(logits, what the critic sees in the map where pictures are compared)."""
        return self.nets["critic"](params["critic"])(x)

    def rebuilt(self, params, x: Float[Array, "b h w c"], keys) -> tuple[Float[Array, "b h w c"], Float[Array, "b"]]:
        """(x after a draw of its code, KL in nats)."""
        mean, logvar = self.encode(params, x)
        z = mean + jnp.exp(0.5 * logvar) * normal(keys, (self.settings.latent,))
        return self.decode(params, z), kl(mean, logvar)

    def drawn(self, params, keys) -> Float[Array, "b h w c"]:
        """From the prior, N(0, 1)."""
        return self.decode(params, normal(fold(keys, STREAM_DRAWN), (self.settings.latent,)))


def unlikeness(seen: Float[Array, "b f"], of_photo: Float[Array, "b f"]) -> Float[Array, "b"]:
    """-log N(Dis_l(x) | Dis_l(x'), 1) in nats for each number of the map, without its constant. Larsen 2016, eq. 7."""
    return 0.5 * jnp.mean((seen - of_photo) ** 2, axis=-1)


def vaegan(settings: VAEGANSettings, spec: Spec) -> Method:
    """A VAE-GAN for pictures of `spec.size` (8, 16, 32, 64, ... px). InputError for a layer that the critic has not.

    Losses as in Larsen 2016, algorithm 1: the encoder's is prior and reconstruction, the decoder's reconstruction and
    the critic's verdict on both kinds of pictures, the critic's that verdict alone. Each is divided by the size of the
    map, so that weights mean the same at every layer.
    """
    s = settings
    maps = doublings(spec.size) + 1
    if not -maps <= s.layer < maps:
        raise InputError(f"layer={s.layer}: the critic has maps 1 to {maps - 1}; 0 compares the pictures themselves")
    if s.r1_every < 1:
        raise InputError(f"r1_every={s.r1_every}: must be 1 or more steps")
    nets, adversarial = Networks(s, spec), choose(LOSSES, s.loss, "loss")

    def critic_turn(params, extra, batch, keys, step):
        made = jax.lax.stop_gradient([nets.rebuilt(params, batch["image"], keys)[0], nets.drawn(params, keys)])
        on_real, on_fake = nets.judge(params, batch["image"])[0], nets.judge(params, jnp.concatenate(made))[0]
        loss = adversarial.critic(on_real, on_fake)
        return loss, (extra, {"loss/critic": loss})

    def r1_turn(params, extra, batch, keys, step):
        penalty = r1_penalty(lambda x: nets.judge(params, x)[0], batch["image"])
        return s.r1 * s.r1_every * penalty, (extra, {"loss/r1": penalty})

    def encoder_turn(params, extra, batch, keys, step):
        made, cost = nets.rebuilt(params, batch["image"], keys)
        seen, of_photo = (nets.judge(params, x)[1] for x in (made, batch["image"]))
        fit = unlikeness(seen, of_photo)
        loss = jnp.mean(fit + s.beta * cost / seen.shape[-1])
        return loss, (extra, {"loss/encoder": loss, "loss/kl": cost.mean(), "loss/rebuild": fit.mean()})

    def decoder_turn(params, extra, batch, keys, step):
        made, _ = nets.rebuilt(params, batch["image"], keys)
        on_made, seen = nets.judge(params, made)
        on_drawn, of_photo = nets.judge(params, nets.drawn(params, keys))[0], nets.judge(params, batch["image"])[1]
        fooled = adversarial.generator(jnp.concatenate([on_made, on_drawn]))
        loss = s.gamma * unlikeness(seen, of_photo).mean() + fooled
        return loss, (extra, {"loss/decoder": loss, "loss/generator": fooled})

    return Method(
        init=nets.init,
        turns=(
            Turn("critic", critic_turn),
            Turn("critic", r1_turn, s.r1_every),
            Turn("encoder", encoder_turn),
            Turn("decoder", decoder_turn),
        ),
        optim={group: optax.adam(s.lr, b1=s.beta1, b2=0.99) for group in nets.nets},
        sample=lambda params, keys, cond: nets.decode(params, normal(keys, (s.latent,))),
        ema={"encoder": power_ema(), "decoder": power_ema()},
        features=lambda params, images, keys: nets.encode(params, images)[0],
        alarms=(Alarm("loss/kl", 1.0, 1000, COLLAPSED),),
    )
