"""Samplers on data whose best denoiser is known: a Gaussian, and a mixture of two."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.methods.gan import normal
from prodgen_jax.methods.gaussian import (
    Point,
    cosine,
    curved,
    even,
    exploding,
    linear,
    straight,
    strided,
    table_path,
)  # fmt: skip
from prodgen_jax.methods.samplers import SAMPLERS, Here, ancestral, ddim, euler, heun, sample_loop

T = 1000
TABLES = {"cosine": table_path(cosine(T)), "linear": table_path(linear(T))}
GRIDS = {
    "ddpm": lambda steps: TABLES["cosine"](strided(T, steps)),
    "edm": lambda steps: exploding(curved(steps, 0.002, 80.0, 7.0)),
    "flow": lambda steps: straight(even(steps)),
}
DEFINED = [(grid, name) for grid in GRIDS for name in SAMPLERS if (grid, name) != ("ddpm", "euler")]


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def at(path, t):
    return Point(*map(np.float64, path(jnp.asarray(t))))


def here(x, x0, now, then, noise=0.0, last=0.0, before=None):
    return Here(x, x0, last, noise, before or now, now, then)


# --- single steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [2, 500, 999])
def test_ancestral_is_the_posterior_of_ho(t):
    """Ho 2020, eq. 7, from the betas themselves."""
    betas = np.linspace(1e-4, 0.02, T)
    beta, abar, abar_before = betas[t - 1], np.prod(1 - betas[:t]), np.prod(1 - betas[: t - 1])
    x0, x, noise = np.float64(draw(0, 5)), np.float64(draw(1, 5)), np.float64(draw(2, 5))
    mean = np.sqrt(abar_before) * beta / (1 - abar) * x0 + np.sqrt(1 - beta) * (1 - abar_before) / (1 - abar) * x
    deviation = np.sqrt((1 - abar_before) / (1 - abar) * beta)
    found = ancestral(here(x, x0, at(TABLES["linear"], t), at(TABLES["linear"], t - 1), noise))
    np.testing.assert_allclose(found, mean + deviation * noise, atol=5e-4)  # the tables are float32


@pytest.mark.parametrize(
    "path, now, then",
    [(TABLES["cosine"], 1000, 900), (TABLES["cosine"], 500, 20), (TABLES["cosine"], 300, 299), (exploding, 3.0, 2.0),
     (straight, 0.9, 0.4)],
)  # fmt: skip
def test_ancestral_is_bayes_rule_between_any_two_times(path, now, then):
    """q(x_then | x_now, x0) from its prior a' x0 + s' n and the likelihood of x_now = ratio x_then + ..."""
    p, q = at(path, now), at(path, then)
    ratio = p.alpha / q.alpha
    added = p.sigma**2 - ratio**2 * q.sigma**2
    precision = 1 / q.sigma**2 + ratio**2 / added
    x0, x, noise = 0.3, -0.8, 1.7
    mean = (q.alpha * x0 / q.sigma**2 + ratio * x / added) / precision
    found = float(ancestral(here(x, x0, p, q, noise)))
    assert found == pytest.approx(mean + noise / np.sqrt(precision), abs=1e-4)


@pytest.mark.parametrize("grid, name", DEFINED)
def test_the_last_step_gives_x0(grid, name):
    points = GRIDS[grid](10)
    before, now, then = (Point(*(field[i] for field in points)) for i in (-3, -2, -1))
    x0, x = draw(0, 5), draw(1, 5)
    found = SAMPLERS[name](here(x, x0, now, then, draw(2, 5), draw(3, 5), before), lambda x, p: jnp.full_like(x, 9.0))
    np.testing.assert_allclose(found, x0, atol=1e-5)


def test_ddim_keeps_the_noise():
    p, q = at(TABLES["cosine"], 700), at(TABLES["cosine"], 200)
    x0, eps = draw(0, 5), draw(1, 5)
    found = ddim(here(p.alpha * x0 + p.sigma * eps, x0, p, q))
    np.testing.assert_allclose(found, q.alpha * x0 + q.sigma * eps, rtol=1e-4)


@pytest.mark.parametrize("path, now, then", [(exploding, 3.0, 1.0), (straight, 1.0, 0.8), (straight, 0.5, 0.0)])
def test_euler_is_ddim_on_straight_paths(path, now, then):
    step = here(draw(0, 5), draw(1, 5), at(path, now), at(path, then))
    np.testing.assert_allclose(euler(step), ddim(step), atol=1e-5)


def test_heun_is_algorithm_1_of_karras():
    def denoise(x, p):
        return jnp.tanh(x) / (1 + p.sigma)

    x, now, then = draw(0, 5), exploding(jnp.array(3.0)), exploding(jnp.array(2.0))
    d = (x - denoise(x, now)) / 3
    guess = x - d
    d_next = (guess - denoise(guess, then)) / 2
    np.testing.assert_allclose(heun(here(x, denoise(x, now), now, then), denoise), x - (d + d_next) / 2, rtol=1e-5)


# --- whole ways ---------------------------------------------------------------------------------------------------

MEANS = np.array([[0.5, 0.3], [-0.4, -0.2]])
COVARIANCES = np.array([[[0.02, 0.01], [0.01, 0.015]], [[0.03, -0.01], [-0.01, 0.01]]])
WITHIN = {"ancestral": 0.2}  # share of a covariance that may be missed after 150 steps; the others' is 0.1


def best_denoiser(shares, means, scales, axes):
    """E[x0 | x] for a mixture of k Gaussians in the plane, in the axes of each, where all is a product; x: [b 2]."""

    def denoise(x, p):
        spread = p.alpha**2 * scales + p.sigma**2  # [k 2]
        along = jnp.einsum("bkd,kde->bke", x[:, None] - p.alpha * means, axes)
        scores = jnp.log(shares) - 0.5 * jnp.sum(along**2 / spread + jnp.log(spread), -1)
        guesses = means + jnp.einsum("bke,kde->bkd", p.alpha * scales / spread * along, axes)
        return jnp.einsum("bk,bkd->bd", jax.nn.softmax(scores), guesses)

    return denoise


@lru_cache
def compiled(grid, name, steps):
    """(shares, keys) -> draws, compiled once for the Gaussian, whose second share is 0, and the mixture."""
    scales, axes = np.linalg.eigh(COVARIANCES)
    data = [np.float32(part) for part in (MEANS, scales, axes)]

    def loop(shares, keys):
        return sample_loop(best_denoiser(shares, *data), SAMPLERS[name], GRIDS[grid](steps), keys, (2,))

    return jax.jit(loop)


def parts(grid, name, shares, n=4000):
    """What a sampler draws, sorted by the nearest mean (the mixture's parts hardly overlap)."""
    drawn = np.float64(compiled(grid, name, 150)(jnp.array(shares), jax.random.split(jax.random.key(0), n)))
    nearest = np.argmin([((drawn - mean) ** 2).sum(1) for mean in MEANS], 0)
    return [drawn[nearest == k] for k in range(2)]


@pytest.mark.parametrize("grid, name", DEFINED)
def test_samplers_recover_a_gaussian(grid, name):
    """Mean within 4 standard errors and 0.002, covariance as `WITHIN` says."""
    drawn, covariance = np.concatenate(parts(grid, name, (1.0, 0.0))), COVARIANCES[0]
    assert (abs(drawn.mean(0) - MEANS[0]) < 4 * np.sqrt(np.diag(covariance) / len(drawn)) + 2e-3).all()
    assert np.linalg.norm(np.cov(drawn.T) - covariance) < WITHIN.get(name, 0.1) * np.linalg.norm(covariance)


@pytest.mark.parametrize("grid, name", DEFINED)
def test_samplers_recover_a_mixture(grid, name):
    """Shares within 0.03, each part's mean within 0.02, its covariance as `WITHIN` says and 0.05 more."""
    for drawn, share, mean, covariance in zip(
        parts(grid, name, (0.3, 0.7)), (0.3, 0.7), MEANS, COVARIANCES, strict=True
    ):
        assert len(drawn) / 4000 == pytest.approx(share, abs=0.03)
        np.testing.assert_allclose(drawn.mean(0), mean, atol=0.02)
        missed = np.linalg.norm(np.cov(drawn.T) - covariance) / np.linalg.norm(covariance)
        assert missed < WITHIN.get(name, 0.1) + 0.05


ORDER = {"ddim": 1, "euler": 1, "ancestral": 1, "heun": 2, "dpmpp2m": 2}


def deviation_after(grid, name, steps, deviation=0.5):
    """The deviation of what a sampler makes of data from N(0, deviation^2), found without drawing.

    The best denoiser is linear, so a step is x' = gain x + fresh noise: the chain of ancestral sampling adds up
    variances, and the others take a first noise of 1 to their own gain.
    """
    points = GRIDS[grid](steps)
    i = np.arange(steps)
    rows = [Point(*(field[j] for field in points)) for j in (np.maximum(i - 1, 0), i, i + 1)]

    def denoise(x, p):
        return p.alpha * deviation**2 / (p.alpha**2 * deviation**2 + p.sigma**2) * x

    def move(x, last, noise, row):
        x0 = denoise(x, row[1])
        return SAMPLERS[name](Here(x, x0, last, noise, *row), denoise), x0

    def add_variance(variance, row):
        gain, fresh = move(1.0, 0.0, 0.0, row)[0], move(0.0, 0.0, 1.0, row)[0]
        return gain**2 * variance + fresh**2, None

    if name == "ancestral":
        return np.sqrt(jax.lax.scan(add_variance, points.sigma[0] ** 2, rows)[0])
    gain, _ = jax.lax.scan(lambda carry, row: (move(*carry, 0.0, row), None), (points.sigma[0], jnp.zeros(())), rows)
    return abs(float(gain[0]))


@pytest.mark.parametrize("grid, name", DEFINED)
def test_the_error_falls_at_the_sampler_s_order(grid, name):
    """Four times the steps: a quarter of the error at order 1, a sixteenth at order 2 (a margin of 2.5)."""
    few, many = (abs(deviation_after(grid, name, steps) / 0.5 - 1) for steps in (40, 160))
    assert many < {1: 0.04, 2: 0.001}[ORDER[name]] and few / many > 4 ** ORDER[name] / 2.5


def test_a_picture_s_draws_are_its_own():
    """Ancestral sampling draws on the way; neither the place in the batch nor the others change a picture."""
    keys, loop = jax.random.split(jax.random.key(1), 3), compiled("ddpm", "ancestral", 10)
    three, one = (loop(jnp.array((0.3, 0.7)), chosen) for chosen in (keys, keys[2:]))
    np.testing.assert_allclose(three[2:], one, atol=1e-5)
    assert abs(three[0] - three[1]).max() > 1e-2


def test_the_way_starts_at_the_path_s_noise():
    keys = jax.random.split(jax.random.key(1), 3)
    drawn = sample_loop(lambda x, p: x, lambda here, _: here.x, GRIDS["edm"](1), keys, (2,))
    np.testing.assert_allclose(drawn, 80 * normal(jax.vmap(jax.random.split)(keys)[:, 0], (2,)), rtol=1e-6)
