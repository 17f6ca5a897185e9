"""The bound of a VAE: each part against a closed form, and the whole against the likelihood it bounds."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_expit, logsumexp
from scipy.stats import norm

from prodgen_jax.data.images import to_signed
from prodgen_jax.methods import Spec
from prodgen_jax.methods.likelihood import HALF_STEP, bits_per_dim, log_likelihood
from prodgen_jax.methods.vae import Networks, elbo, importance_bound, kl
from prodgen_jax.training.keeper import Keeper

SIZE = 8
LEVELS = to_signed(np.arange(256, dtype=np.uint8))
MEANS, LOG_SCALES = (-1.0, -0.5, 0.003, 0.62, 0.9999), (-7.0, -3.0, 0.0, 2.0)


def test_kl_of_known_pairs():
    mean, logvar = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(kl(mean, logvar), [0, 0.5, (np.e - 2) / 2], atol=1e-6)


def test_kl_equals_its_expectation():
    rng = np.random.default_rng(0)
    mean, logvar = rng.normal(0, 1, (2, 3))
    z = mean + np.exp(logvar / 2) * rng.normal(size=(400_000, 3))
    sampled = (norm.logpdf(z, mean, np.exp(logvar / 2)) - norm.logpdf(z)).sum(1)
    error = 5 * sampled.std() / np.sqrt(len(z))
    assert float(kl(mean[None], logvar[None])[0]) == pytest.approx(sampled.mean(), abs=error) and error < 0.02


def levels_under(mean, log_scale):
    """log P of each of the 256 levels."""
    x = LEVELS[:, None, None, None]
    return np.asarray(log_likelihood(jnp.asarray(x), jnp.full(x.shape, mean), jnp.array([log_scale])))


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("mean", MEANS)
def test_the_256_levels_sum_to_one_and_equal_the_reference(mean, log_scale):
    found = levels_under(mean, log_scale)
    assert np.exp(np.float64(found)).sum() == pytest.approx(1, abs=2e-4)
    edges = (np.linspace(-1, 1, 256)[:-1] + HALF_STEP - np.float32(mean)) / np.exp(log_scale)
    log_cdf, log_above = log_expit(edges), log_expit(-edges)  # each exact in its own tail
    with np.errstate(divide="ignore"):  # in the tail that is not taken
        low = log_cdf[1:] + np.log(-np.expm1(log_cdf[:-1] - log_cdf[1:]))
        high = log_above[:-1] + np.log(-np.expm1(log_above[1:] - log_above[:-1]))
    inside = np.where(edges[1:] < 0, low, high)
    np.testing.assert_allclose(found, [log_cdf[0], *inside, log_above[-1]], rtol=1e-3, atol=2e-4)


def test_likelihood_adds_over_pixels_and_has_a_scale_per_channel():
    rng = np.random.default_rng(1)
    x, mean = LEVELS[rng.integers(0, 256, (2, 3, 3, 2))], rng.uniform(-1, 1, (2, 3, 3, 2)).astype("f")
    whole = log_likelihood(x, mean, jnp.array([-1.0, 0.5]))
    parts = [log_likelihood(x[..., i : i + 1], mean[..., i : i + 1], jnp.array([s])) for i, s in ((0, -1.0), (1, 0.5))]
    np.testing.assert_allclose(whole, parts[0] + parts[1], rtol=1e-5)


def test_gradients_are_finite_on_every_level_and_far_from_it():
    def total(mean, log_scale):
        return log_likelihood(LEVELS[:, None, None, None], jnp.full((256, 1, 1, 1), mean), log_scale).sum()

    for mean in MEANS:
        for scale in LOG_SCALES:
            assert all(bool(jnp.isfinite(g).all()) for g in jax.grad(total, (0, 1))(mean, jnp.array([scale])))


def test_even_levels_cost_eight_bits():
    dims = SIZE * SIZE * 3
    assert float(bits_per_dim(jnp.array([-dims * np.log(256)]), dims)[0]) == pytest.approx(8)


@pytest.fixture(scope="module", params=[0, 3], ids=["N(0, 1)", "flow"])
def toy(tiny_recipe, request):
    """(networks, params, one picture). Two latent numbers move the picture gently, so that sums over draws settle."""
    nets = Networks(tiny_recipe("vae", latent=2, flow=request.param).method, Spec(SIZE))
    params = jax.jit(nets.init)(jax.random.key(0))[0]
    rng = np.random.default_rng(5)  # bends the prior
    params["vae"]["prior"] = jax.tree.map(
        lambda p: p + rng.normal(0, 0.05, p.shape).astype("f"), params["vae"]["prior"]
    )
    decoder = params["vae"]["decoder"]
    decoder["ups"][0]["kernel"][...] = 0.2 * decoder["ups"][0]["kernel"][...]
    decoder["log_scale"][...] = jnp.zeros(3)
    x = LEVELS[np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3))]
    return nets, params, x


def test_the_bound_lies_below_the_likelihood(toy):
    """log p(x) summed over the prior equals log p(x) weighted from q(z|x); the bound lies below both."""
    nets, params, x = toy
    draws = 16_000
    rng = np.random.default_rng(1)
    noise, prior = rng.normal(size=(2, draws, 2)).astype("f")
    prior = nets.from_noise(params, prior)
    many = np.repeat(x, draws, 0)
    mean, logvar = (np.float64(v[0]) for v in nets.encode(params, x))
    z = (mean + np.exp(logvar / 2) * noise).astype("f")
    on_posterior, on_prior = (np.float64(log_likelihood(many, *nets.decode(params, v))) for v in (z, prior))
    weights = on_posterior + np.float64(nets.log_prior(params, z)) - norm.logpdf(z, mean, np.exp(logvar / 2)).sum(1)
    importance, summed = (logsumexp(v) - np.log(draws) for v in (weights, on_prior))
    fit, cost = elbo(nets, params, many, noise)
    bound = float(jnp.mean(fit - cost))
    assert importance == pytest.approx(summed, abs=0.15)
    assert bound == pytest.approx(weights.mean(), abs=5 * weights.std() / np.sqrt(draws) + 1e-2)
    assert bound < importance - 0.3
    of_many, of_one = (float(importance_bound(nets, params, x, n)[0]) for n in (noise[:, None], noise[:1, None]))
    assert of_many == pytest.approx(importance, abs=2e-3) and of_one == pytest.approx(weights[0], abs=1e-2)


def test_loss_weighs_kl_by_the_warm_up(tiny_recipe):
    """And the KL below `free` costs nothing more."""
    method, lenient = (tiny_recipe("vae", beta=0.8, warmup=10, free=f).build(Spec(SIZE)) for f in (0.0, 1e4))
    params = jax.jit(method.init)(jax.random.key(0))[0]
    batch = {"image": LEVELS[np.random.default_rng(2).integers(0, 256, (4, SIZE, SIZE, 3))]}
    keys = jax.random.split(jax.random.key(1), 4)
    play = jax.jit(lambda step: method.turns[0].loss(params, {}, batch, keys, step))
    for step, weight in ((0, 0.08), (4, 0.4), (9, 0.8), (500, 0.8)):
        loss, (_, seen) = play(step)
        assert float(loss) == pytest.approx(float((weight - 1) * seen["loss/kl"] - seen["loss/elbo"]), rel=1e-5)
        bits = -float(seen["loss/elbo"]) / (np.log(2) * SIZE * SIZE * 3)
        assert float(seen["loss/bits_per_dim"]) == pytest.approx(bits, rel=1e-5)
    loss, (_, same) = jax.jit(lambda: lenient.turns[0].loss(params, {}, batch, keys, 9))()
    assert same["loss/kl"] == pytest.approx(float(seen["loss/kl"]), rel=1e-5)
    assert float(loss) == pytest.approx(float(0.8 * 1e4 - seen["loss/elbo"] - seen["loss/kl"]), rel=1e-4)


def test_a_collapse_is_said_once_and_after_the_warm_up(tiny_recipe, capsys):
    alarms, log = tiny_recipe("vae", warmup=10).build(Spec(SIZE)).alarms, SimpleNamespace(last={})
    keeper = Keeper(*[None] * 2, log, *[None] * 3, alarms=alarms)
    for step, nats, said in ((15, 0.2, 0), (25, 7.0, 0), (30, 0.2, 1), (35, 0.2, 0)):
        log.last["loss/kl"] = nats
        keeper.warn(step)
        assert capsys.readouterr().err.count("loss/kl is 0.2, less than 1; posterior collapse") == said


def test_samples_are_the_decoder_s_mean(toy, tiny_recipe):
    nets, params, _ = toy
    method = tiny_recipe("vae", latent=2, flow=nets.couplings).build(Spec(SIZE))
    keys, draw = jax.random.split(jax.random.key(3), 6), jax.jit(method.sample)
    images = draw(params, keys, {})
    assert images.shape == (6, SIZE, SIZE, 3) and float(abs(images).max()) <= 1
    np.testing.assert_allclose(draw(params, keys[:2], {}), images[:2], atol=1e-5)
