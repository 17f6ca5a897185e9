"""The three Gaussian methods, each a few choices in one frame: path, times, target, weight, preconditioning.

`ddpm`: variance stays 1, many small steps (Ho 2020). `edm`: noise is added to the picture as it is, and the network's
numbers are scaled instead (Karras 2022). `flow`: a straight line from noise to picture (Lipman 2022, Liu 2022).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.denoiser import DenoiserSettings, Frame, check, denoiser
from prodgen_jax.methods.gaussian import (
    SCHEDULES,
    TARGETS,
    curved,
    even,
    exploding,
    karras_scales,
    karras_weight,
    min_snr,
    straight,
    strided,
    table_path,
    velocity_weight,
)  # fmt: skip
from prodgen_jax.methods.samplers import SAMPLERS, renoise
from prodgen_jax.methods.spec import Spec, choose


def only(table: dict, *names: str) -> dict:
    return {name: table[name] for name in names}


@dataclass(frozen=True)
class DDPMSettings(DenoiserSettings):
    """What `--set` reaches of a DDPM, besides what all denoisers have."""

    schedule: str = "cosine"  # cosine or linear
    timesteps: int = 1000  # T
    target: str = "v"  # what the network predicts: eps, x0, v or velocity
    min_snr: float = 5.0  # cap of the signal-to-noise ratio in the loss's weight; inf weights every eps error alike
    least_snr: float = 0.0  # its floor there; 1 learns more where color and layout are decided, slower elsewhere
    sampler: str = "ddim"  # ancestral (or its other name ddpm), ddim, heun or dpmpp2m
    sample_steps: int = 50  # steps per picture; one network evaluation each, heun two in all but the last


def ddpm_frame(s: DDPMSettings) -> Frame:
    """T discrete times, drawn evenly. Euler is left out: the cosine path's slope has no bound near t = 0."""
    if s.sample_steps > s.timesteps:
        raise InputError(f"sample_steps={s.sample_steps}: must be 1 to timesteps={s.timesteps}")
    rules = {
        **only(SAMPLERS, "ancestral", "ddim", "heun", "dpmpp2m"),
        "ddpm": SAMPLERS["ancestral"],
        "renoise": renoise,
    }
    if not 0 <= s.least_snr <= s.min_snr:
        raise InputError(f"least_snr={s.least_snr}: must lie in 0 to min_snr={s.min_snr}")
    return Frame(
        path=table_path(choose(SCHEDULES, s.schedule, "schedule")(s.timesteps)),
        draw_time=lambda key: jax.random.randint(key, (), 1, s.timesteps + 1),
        times=strided(s.timesteps, s.sample_steps),
        target=choose(TARGETS, s.target, "target"),
        weight=min_snr(s.min_snr, s.least_snr),
        rule=choose(rules, s.sampler, "sampler"),
    )


def ddpm(settings: DDPMSettings, spec: Spec) -> Method:
    """A DDPM (Ho 2020) over pixels."""
    check("ddpm", settings, spec)
    return denoiser(settings, spec, ddpm_frame(settings))


@dataclass(frozen=True)
class EDMSettings(DenoiserSettings):
    """What `--set` reaches of an EDM. Noise levels are standard deviations; pictures live in [-1, 1]."""

    sigma_data: float = 0.5  # standard deviation of the pictures' numbers; 0.48 on a catalogue with white grounds
    noise_mean: float = -0.6  # mean of ln(sigma) while training; P_mean, -1.2 in the paper
    noise_std: float = 1.1  # deviation of ln(sigma) while training; P_std, 1.2 in the paper
    sigma_min: float = 0.002  # least noise level that sampling visits
    sigma_max: float = 80.0  # noise level at which sampling starts
    rho: float = 7.0  # how much denser the levels of sampling lie where there is little noise


def edm_frame(s: EDMSettings) -> Frame:
    """Karras 2022, table 1, last column."""
    for name in ("sigma_data", "noise_std", "sigma_min", "rho"):
        if not getattr(s, name) > 0:
            raise InputError(f"{name}={getattr(s, name)}: must be above 0")
    if not s.sigma_min < s.sigma_max < float("inf"):
        raise InputError(f"sigma_max={s.sigma_max}: must lie above sigma_min={s.sigma_min}")
    return Frame(
        path=exploding,
        draw_time=lambda key: jnp.exp(s.noise_mean + s.noise_std * jax.random.normal(key)),
        times=curved(s.sample_steps, s.sigma_min, s.sigma_max, s.rho),
        target=TARGETS["x0"],
        weight=karras_weight(s.sigma_data),
        rule=choose(SAMPLERS, s.sampler, "sampler"),
        scales=karras_scales(s.sigma_data),
    )


def edm(settings: EDMSettings, spec: Spec) -> Method:
    """The preconditioned denoiser of Karras 2022 over pixels."""
    check("edm", settings, spec)
    return denoiser(settings, spec, edm_frame(settings))


@dataclass(frozen=True)
class FlowSettings(DenoiserSettings):
    """What `--set` reaches of a flow. Times run from 0, the picture, to 1, noise."""

    target: str = "velocity"  # what the network predicts: velocity, x0 or v
    times: str = "logit_normal"  # how training times are drawn: logit_normal or uniform
    time_mean: float = -0.3  # mean of ln(t / (1 - t)), the log of the noise level; logit_normal only
    time_std: float = 1.2  # its deviation; logit_normal only
    sampler: str = "dpmpp2m"  # ancestral, ddim, heun, dpmpp2m or euler (which is ddim here)
    sample_steps: int = 25  # steps per picture; one network evaluation each, heun two in all but the last


def flow_frame(s: FlowSettings) -> Frame:
    """Straight lines; every error of the velocity counts alike.

    The target eps is left out: at t = 1 it is x_t itself and says nothing of x_0.
    """
    if not s.time_std > 0:
        raise InputError(f"time_std={s.time_std}: must be above 0; for even times set times=uniform")
    draws = {
        "logit_normal": lambda key: jax.nn.sigmoid(s.time_mean + s.time_std * jax.random.normal(key)),  # Esser 2024
        "uniform": lambda key: 1 - jax.random.uniform(key),  # in (0, 1]: at 0 there is nothing to learn
    }
    return Frame(
        path=straight,
        draw_time=choose(draws, s.times, "times"),
        times=even(s.sample_steps),
        target=choose(only(TARGETS, "velocity", "x0", "v"), s.target, "target"),
        weight=velocity_weight,
        rule=choose(SAMPLERS, s.sampler, "sampler"),
    )


def flow(settings: FlowSettings, spec: Spec) -> Method:
    """Flow matching over pixels: a rectified flow (Lipman 2022, Liu 2022)."""
    check("flow", settings, spec)
    return denoiser(settings, spec, flow_frame(settings))
