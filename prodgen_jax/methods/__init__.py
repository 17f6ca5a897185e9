"""Methods: each family says what it is in a file of its own; the door finds them here by name."""

from collections.abc import Callable
from typing import NamedTuple

from prodgen_jax.methods.diffusion import DDPMSettings, EDMSettings, FlowSettings, ddpm, edm, flow
from prodgen_jax.methods.gan import DCGANSettings, dcgan
from prodgen_jax.methods.spec import Spec
from prodgen_jax.methods.vae import VAESettings, vae
from prodgen_jax.methods.wgan_gp import WGANGPSettings, wgan_gp

__all__ = ["METHODS", "Family", "Spec"]


class Family(NamedTuple):
    """settings: a dataclass of literals with defaults; build: (settings, Spec) -> Method."""

    settings: type
    build: Callable


METHODS = {
    "dcgan": Family(DCGANSettings, dcgan),
    "wgan_gp": Family(WGANGPSettings, wgan_gp),
    "vae": Family(VAESettings, vae),
    "ddpm": Family(DDPMSettings, ddpm),
    "edm": Family(EDMSettings, edm),
    "flow": Family(FlowSettings, flow),
}
