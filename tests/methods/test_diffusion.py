"""Diffusion against its equations, and its samplers on a Gaussian whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.diffusion import (
    SAMPLERS,
    TARGETS,
    cosine,
    ddim_step,
    ddpm_step,
    diffuse,
    linear,
    sample_loop,
    stride,
)

T, SIZE = 1000, 8
SCHEDULES = {"cosine": cosine(T), "linear": linear(T)}
MEAN, COVARIANCE = np.array([0.25, -0.3]), np.array([[0.01, 0.004], [0.004, 0.0025]])  # far within [-1, 1]


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def at(schedule, t):
    return tuple(float(np.float64(row[t])) for row in schedule)


# --- the forward process ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_signal_and_noise_share_one_unit_of_variance(schedule):
    a, s = np.float64(schedule.signal), np.float64(schedule.noise)
    assert len(a) == len(s) == T + 1
    np.testing.assert_allclose(a**2 + s**2, 1, atol=1e-6)
    assert (np.diff(a) < 0).all() and (np.diff(s) >= 0).all() and (a[0], s[0]) == (1, 0) and a[-1] < 0.01


def test_cosine_equals_its_formula():
    def f(t):
        return np.cos((t / T + 0.008) / 1.008 * np.pi / 2) ** 2  # Nichol & Dhariwal 2021, eq. 17

    t = np.arange(0, 990)  # beyond it beta is clipped
    np.testing.assert_allclose(np.float64(SCHEDULES["cosine"].signal[t]) ** 2, f(t) / f(0), rtol=1e-4)
    a = np.float64(SCHEDULES["cosine"].signal)
    assert (1 - a[1:] ** 2 / a[:-1] ** 2).max() == pytest.approx(0.999, abs=1e-4)


def test_linear_has_even_betas():
    a = np.float64(SCHEDULES["linear"].signal)
    np.testing.assert_allclose(1 - (a[1:] / a[:-1]) ** 2, np.linspace(1e-4, 0.02, T), atol=1e-6)


def test_diffuse_takes_each_picture_to_its_own_time():
    x0, eps, t = draw(0, 3, 2, 2, 1), draw(1, 3, 2, 2, 1), jnp.array([0, 400, T])
    x, a, s = diffuse(SCHEDULES["cosine"], x0, t, eps)
    assert a.shape == s.shape == (3, 1, 1, 1)
    np.testing.assert_array_equal(x[0], x0[0])
    np.testing.assert_allclose(x[2], eps[2], atol=0.01)
    a, s = at(SCHEDULES["cosine"], 400)
    np.testing.assert_allclose(x[1], a * x0[1] + s * eps[1], rtol=1e-5)


# --- what is predicted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("t", [1, 300, 900])
def test_targets_tell_x0_and_eps_exactly(name, t):
    a, s = at(SCHEDULES["cosine"], t)
    x0, eps = draw(0, 4, 3), draw(1, 4, 3)
    found = TARGETS[name].split(a * x0 + s * eps, TARGETS[name].of(x0, eps, a, s), a, s)
    np.testing.assert_allclose(found, (x0, eps), atol=2e-5)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("t", [100, 500, 900])
def test_weights_make_any_error_count_as_one_of_x0(name, t):
    """Min-SNR (Hang 2023), eq. 4: min(snr, cap) |x0 - x0'|^2, whatever is predicted."""
    a, s = at(SCHEDULES["cosine"], t)
    x0, eps, wrong = draw(0, 50), draw(1, 50), 0.1 * draw(2, 50)
    target, (snr, cap) = TARGETS[name], ((a / s) ** 2, 5.0)
    right = target.of(x0, eps, a, s)
    guess, _ = target.split(a * x0 + s * eps, right + wrong, a, s)
    weighted = float(target.weight(snr, cap)) * np.mean(np.float64(wrong) ** 2)
    assert weighted == pytest.approx(min(snr, cap) * np.mean(np.float64(guess - x0) ** 2), rel=1e-3)


# --- steps backwards ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [2, 500, 999])
def test_ddpm_step_is_the_posterior_of_ho(t):
    """Ho 2020, eq. 7, from the betas themselves."""
    betas = np.linspace(1e-4, 0.02, T)
    beta, abar, abar_before = betas[t - 1], np.prod(1 - betas[:t]), np.prod(1 - betas[: t - 1])
    x0, x, noise = np.float64(draw(0, 5)), np.float64(draw(1, 5)), np.float64(draw(2, 5))
    mean = np.sqrt(abar_before) * beta / (1 - abar) * x0 + np.sqrt(1 - beta) * (1 - abar_before) / (1 - abar) * x
    deviation = np.sqrt((1 - abar_before) / (1 - abar) * beta)
    found = ddpm_step(x0, None, x, noise, *at(SCHEDULES["linear"], t), *at(SCHEDULES["linear"], t - 1))
    np.testing.assert_allclose(found, mean + deviation * noise, atol=5e-4)  # a and s are float32


@pytest.mark.parametrize("now, then", [(1000, 900), (500, 20), (300, 299)])
def test_ddpm_step_is_bayes_rule_between_any_two_times(now, then):
    """q(x_then | x_now, x0) from its prior a' x0 + s' n and the likelihood of x_now = ratio x_then + ..."""
    (a, s), (a_next, s_next) = (at(SCHEDULES["cosine"], t) for t in (now, then))
    ratio = a / a_next
    precision = 1 / s_next**2 + ratio**2 / (1 - ratio**2)
    x0, x, noise = 0.3, -0.8, 1.7
    mean = (a_next * x0 / s_next**2 + ratio * x / (1 - ratio**2)) / precision
    found = float(ddpm_step(x0, None, x, noise, a, s, a_next, s_next))
    assert found == pytest.approx(mean + noise / np.sqrt(precision), abs=1e-4)


def test_the_last_step_gives_x0():
    a, s = at(SCHEDULES["cosine"], 1)
    x0, x = draw(0, 5), draw(1, 5)
    for step in SAMPLERS.values():
        found = step(x0, (x - a * x0) / s, x, draw(2, 5), a, s, 1.0, 0.0)
        np.testing.assert_allclose(found, x0, atol=4e-3)  # half a level of 255


def test_ddim_step_keeps_the_noise():
    a, s = at(SCHEDULES["cosine"], 200)
    x0, eps = draw(0, 5), draw(1, 5)
    np.testing.assert_allclose(ddim_step(x0, eps, None, None, 0.1, 0.9, a, s), a * x0 + s * eps, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 7, 50, T])
def test_stride_goes_from_noise_to_picture(steps):
    times = np.asarray(stride(T, steps))
    assert len(times) == steps + 1 and times[0] == T and times[-1] == 0
    assert np.ptp(np.diff(times)) <= 1 and (np.diff(times) < 0).all()


def exact_predictor(schedule, target):
    """E[target | x_t] for pictures [1 1 2] drawn from the Gaussian above."""

    def predict(x, t):
        a, s = schedule.signal[t[0]], schedule.noise[t[0]]
        spread = a**2 * COVARIANCE + s**2 * jnp.eye(2)
        gain = a * COVARIANCE @ jnp.linalg.inv(spread)
        x0 = MEAN + (x - a * MEAN) @ gain.T
        return target.of(x0, (x - a * x0) / s, a, s)

    return predict


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", TARGETS)
def test_samplers_recover_a_gaussian(name, sampler):
    schedule, target, n = SCHEDULES["cosine"], TARGETS[name], 4000
    predict, keys = exact_predictor(schedule, target), jax.random.split(jax.random.key(0), n)
    drawn = np.float64(sample_loop(predict, target, SAMPLERS[sampler], schedule, 400, keys, (1, 1, 2)))[:, 0, 0]
    error = 4 * np.sqrt(np.diag(COVARIANCE) / n)
    assert (abs(drawn.mean(0) - MEAN) < error + 1e-3).all()
    assert np.linalg.norm(np.cov(drawn.T) - COVARIANCE) < 0.08 * np.linalg.norm(COVARIANCE)


def test_the_estimate_is_held_to_pictures():
    def predict(x, t):
        return jnp.full_like(x, -50.0)  # v that asks for an x0 far beyond white

    keys = jax.random.split(jax.random.key(0), 3)
    drawn = sample_loop(predict, TARGETS["v"], ddim_step, SCHEDULES["cosine"], 10, keys, (2, 2, 1))
    np.testing.assert_allclose(drawn, 1, atol=1e-5)


# --- the method ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make(tiny_recipe):
    """make(**settings) -> (method on 8 px with an attribute of 3 values, params of noise: fresh ones answer zero)."""

    def build(**settings):
        method = tiny_recipe("ddpm", **settings).build(Spec(SIZE, 3, {"type": 3, "colour": 2}))
        rng, shapes = np.random.default_rng(0), jax.eval_shape(method.init, jax.random.key(0))[0]
        return method, jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes)

    return build


def loss_of(method, n=8):
    """(params, type) -> the loss on n pictures of one type."""
    keys, image = jax.random.split(jax.random.key(6), n), draw(5, n, SIZE, SIZE, 3).clip(-1, 1)

    def loss(params, kind):
        batch = {"image": image, "label": {"type": jnp.full(n, kind)}}
        return method.turns[0].loss(params, {}, batch, keys, 0)[0]

    return loss


def test_labels_matter_unless_they_are_hidden(make):
    (shown, params), (hidden, _) = (make(condition="type", drop=drop) for drop in (0.0, 1.0))
    losses = [jax.jit(loss_of(method)) for method in (shown, hidden)]
    seen, unseen = ([float(loss(params, kind)) for kind in (-1, 0, 2)] for loss in losses)
    assert len(set(seen)) == 3 and unseen == pytest.approx([seen[0]] * 3, rel=1e-6)


def test_not_said_is_learned_beside_the_values(make):
    """With a share hidden, the rows of 'not said' and of the label get a gradient, and no other."""
    method, params = make(condition="type", drop=0.5)
    grads = jax.jit(jax.grad(loss_of(method)))(params, 1)
    (table,) = [g for path, g in jax.tree.leaves_with_path(grads) if "'type'" in jax.tree_util.keystr(path)]
    assert abs(table).sum(-1).astype(bool).tolist() == [True, False, True, False]


def test_the_error_of_predicting_nothing(make):
    """eps has unit variance, and a network of zeros answers zero."""
    method, params = make(target="eps", min_snr=float("inf"))
    loss = jax.jit(loss_of(method, n=64))(jax.tree.map(jnp.zeros_like, params), 0)
    assert float(loss) == pytest.approx(1, rel=0.05)


def test_samples_follow_seed_and_condition(make):
    method, params = make(condition="type")
    assert method.conditions == ("type",)
    keys, draw_images = jax.random.split(jax.random.key(1), 3), jax.jit(method.sample)
    images = [draw_images(params, keys, {"type": jnp.full(3, kind)}) for kind in (-1, 0, 2)]
    assert images[0].shape == (3, SIZE, SIZE, 3) and float(abs(images[0]).max()) <= 1
    assert not np.allclose(images[0], images[1], atol=1e-3) and not np.allclose(images[1], images[2], atol=1e-3)
    np.testing.assert_array_equal(images[0], draw_images(params, keys, {}))
    others = draw_images(params, jnp.concatenate([keys[:1], keys[:2]]), {"type": jnp.array([2, 0, 1])})
    np.testing.assert_allclose(others[0], images[2][0], atol=1e-3)


@pytest.mark.parametrize(
    "setting, value, known",
    [
        ("target", "x0", "eps, v"),
        ("sampler", "heun", "ddim, ddpm"),
        ("condition", "brand", "type, colour"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(make, setting, value, known):
    with pytest.raises(InputError, match=f"{setting}={value} .*{known}"):
        make(**{setting: value})


def test_more_steps_than_times_are_refused(make):
    with pytest.raises(InputError, match="sample_steps=41"):
        make(sample_steps=41)


def test_sizes_that_do_not_halve_are_refused(tiny_recipe):
    with pytest.raises(InputError, match="10"):
        method = tiny_recipe("ddpm", multipliers=(1, 2)).build(Spec(10))
        jax.eval_shape(lambda key: method.sample(method.init(key)[0], key[None], {}), jax.random.key(0))


def test_levels_that_are_not_there_are_refused(make):
    with pytest.raises(InputError, match=r"attend=\(3,\): there are levels 0 to"):
        make(attend=(3,))
