"""Methods: each family says what it is in a file of its own; the door finds them here by name."""

from collections.abc import Callable
from typing import NamedTuple

from prodgen_jax.methods.adagan import AdaGANSettings, adagan
from prodgen_jax.methods.adain import AdaINSettings, adain_method
from prodgen_jax.methods.cgan import CGANSettings, cgan
from prodgen_jax.methods.consistency import ConsistencySettings, consistency
from prodgen_jax.methods.cyclegan import CycleGANSettings, cyclegan
from prodgen_jax.methods.denoiser import SAMPLING
from prodgen_jax.methods.diffusion import DDPMSettings, EDMSettings, FlowSettings, ddpm, edm, flow
from prodgen_jax.methods.gan import DCGANSettings, dcgan
from prodgen_jax.methods.latent import LatentSettings, latent
from prodgen_jax.methods.pix2pix import Pix2PixHDSettings, Pix2PixSettings, SRGANSettings, pix2pix
from prodgen_jax.methods.progressive import ProgressiveSettings, progressive
from prodgen_jax.methods.spec import Spec
from prodgen_jax.methods.stylegan import StyleGANSettings, stylegan
from prodgen_jax.methods.unclip import UnCLIPSettings, unclip
from prodgen_jax.methods.vae import AESettings, CVAESettings, VAESettings, ae, cvae, vae
from prodgen_jax.methods.vaegan import VAEGANSettings, vaegan
from prodgen_jax.methods.vqvae import VQVAESettings, vqvae
from prodgen_jax.methods.wgan_gp import WGANGPSettings, wgan_gp

__all__ = ["METHODS", "Family", "Spec"]


class Family(NamedTuple):
    """settings: a dataclass of literals with defaults; build: (settings, Spec) -> Method.

    sampling: those settings that only concern sampling, so that they may still be changed after training.
    teachers: methods of which one must have been trained before, to begin from; none: it may begin from nothing.
    stages: settings that are the steps of what is learned before all else; 0 where the run that it begins from has it.
    """

    settings: type
    build: Callable
    sampling: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


METHODS = {
    "dcgan": Family(DCGANSettings, dcgan),
    "cgan": Family(CGANSettings, cgan),
    "wgan_gp": Family(WGANGPSettings, wgan_gp),
    "stylegan": Family(StyleGANSettings, stylegan, ("truncation",)),
    "progressive": Family(ProgressiveSettings, progressive, stages=("phase",)),
    "adagan": Family(AdaGANSettings, adagan),
    "ae": Family(AESettings, ae),
    "vae": Family(VAESettings, vae),
    "cvae": Family(CVAESettings, cvae),
    "vaegan": Family(VAEGANSettings, vaegan),
    "vqvae": Family(VQVAESettings, vqvae, ("temperature",)),
    "ddpm": Family(DDPMSettings, ddpm, SAMPLING),
    "edm": Family(EDMSettings, edm, (*SAMPLING, "sigma_min", "sigma_max", "rho")),
    "flow": Family(FlowSettings, flow, SAMPLING),
    "latent": Family(LatentSettings, latent, SAMPLING, stages=("first_stage",)),
    "unclip": Family(UnCLIPSettings, unclip, (*SAMPLING, "prior", "prior_guidance"), stages=("first_stage",)),
    "pix2pix": Family(Pix2PixSettings, pix2pix),
    "pix2pixhd": Family(Pix2PixHDSettings, pix2pix),
    "srgan": Family(SRGANSettings, pix2pix),
    "cyclegan": Family(CycleGANSettings, cyclegan, ("back",)),
    "adain": Family(AdaINSettings, adain_method),
    "consistency": Family(ConsistencySettings, consistency, SAMPLING[:2], ("ddpm",)),
}
