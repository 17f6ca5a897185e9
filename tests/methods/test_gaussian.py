"""The frame of Gaussian methods: paths, targets, weights and preconditioning against their equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.methods.gaussian import (
    TARGETS,
    Point,
    answer_weight,
    ask,
    cosine,
    curved,
    even,
    exploding,
    karras_scales,
    karras_weight,
    linear,
    min_snr,
    mix,
    precondition,
    straight,
    strided,
    table_path,
    tell,
    velocity_weight,
)  # fmt: skip

T = 1000
SCHEDULES = {"cosine": cosine(T), "linear": linear(T)}
PLACES = {
    "cosine": (table_path(SCHEDULES["cosine"]), (1, 300, 900)),
    "linear": (table_path(SCHEDULES["linear"]), (1, 300, 900)),
    "exploding": (exploding, (0.01, 0.7, 50.0)),
    "straight": (straight, (0.01, 0.5, 0.98)),
}
POINTS = [pytest.param(path, t, id=f"{name}-{t}") for name, (path, times) in PLACES.items() for t in times]


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def exact(path, t):
    """The point in double precision, on the path to within its own rounding."""
    return Point(*map(np.float64, path(jnp.asarray(t))))


# --- paths --------------------------------------------------------------------------------------------------------


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


def test_each_picture_goes_to_its_own_time():
    x0, eps, t = draw(0, 3, 2, 2, 1), draw(1, 3, 2, 2, 1), jnp.array([0, 400, T])
    point = PLACES["cosine"][0](t).against(x0)
    assert point.alpha.shape == (3, 1, 1, 1) and point.t[:, 0, 0, 0].tolist() == pytest.approx([0, 0.4, 1])
    x, p = mix(x0, eps, point), exact(PLACES["cosine"][0], 400)
    np.testing.assert_array_equal(x[0], x0[0])
    np.testing.assert_allclose(x[2], eps[2], atol=0.01)
    np.testing.assert_allclose(x[1], p.alpha * x0[1] + p.sigma * eps[1], rtol=1e-5)


@pytest.mark.parametrize("path, t", POINTS[1:2] + POINTS[4:5] + POINTS[6:])
def test_slopes_are_those_of_the_path(path, t):
    step = 20 if isinstance(t, int) else 1e-2 * t
    unit = step / T if isinstance(t, int) else step
    after, p, before = (exact(path, t + d) for d in (step, 0, -step))
    assert p.dalpha == pytest.approx((after.alpha - before.alpha) / (2 * unit), rel=0.01, abs=1e-4)
    assert p.dsigma == pytest.approx((after.sigma - before.sigma) / (2 * unit), rel=0.01)


def test_noise_level_is_noise_over_signal():
    assert float(straight(jnp.array(0.75)).level) == pytest.approx(3)
    assert float(exploding(jnp.array(7.0)).level) == 7 and np.isinf(straight(jnp.array(1.0)).level)


@pytest.mark.parametrize("steps", [1, 7, 50, T])
def test_times_go_from_noise_to_picture(steps):
    times = np.asarray(strided(T, steps))
    assert len(times) == steps + 1 and times[0] == T and times[-1] == 0
    assert np.ptp(np.diff(times)) <= 1 and (np.diff(times) < 0).all()
    np.testing.assert_allclose(even(steps), 1 - np.arange(steps + 1) / steps, atol=1e-6)


def test_karras_levels():
    """Karras 2022, eq. 5, at its ends and in the middle of five."""
    levels = np.asarray(curved(5, 0.002, 80, 7))
    middle = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    np.testing.assert_allclose(levels[[0, 2, 4, 5]], [80, middle, 0.002, 0], rtol=1e-5)
    assert curved(1, 0.002, 80, 7).tolist() == pytest.approx([80, 0])


# --- what is predicted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("path, t", POINTS)
def test_targets_tell_x0_and_eps_exactly(path, t, name):
    p, target = exact(path, t), TARGETS[name]
    x0, eps = np.float64(draw(0, 4, 3)), np.float64(draw(1, 4, 3))
    found = tell(target, mix(x0, eps, p), ask(target, x0, eps, p), p)
    np.testing.assert_allclose(found, (x0, eps), atol=1e-9)


def test_targets_are_what_they_are_called():
    x0, eps, p = draw(0, 4), draw(1, 4), exact(straight, 0.3)
    asked = {name: ask(target, x0, eps, p) for name, target in TARGETS.items()}
    np.testing.assert_array_equal(asked["eps"], eps)
    np.testing.assert_array_equal(asked["x0"], x0)
    np.testing.assert_allclose(asked["velocity"], eps - x0, rtol=1e-5)
    np.testing.assert_allclose(asked["v"], 0.7 * eps - 0.3 * x0, rtol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("path, t", POINTS)
@pytest.mark.parametrize("least", [0.0, 1.0])
def test_weights_make_any_error_count_as_one_of_x0(path, t, name, least):
    """Min-SNR (Hang 2023), eq. 4, here with a floor: clip(snr, least, cap) |x0 - x0'|^2, whatever is predicted."""
    p, target, snr = exact(path, t), TARGETS[name], 0.0
    x0, eps, wrong = (np.float64(draw(seed, 50)) for seed in range(3))
    guess, _ = tell(target, mix(x0, eps, p), ask(target, x0, eps, p) + 0.1 * wrong, p)
    snr = (p.alpha / p.sigma) ** 2
    weighted = float(answer_weight(min_snr(5.0, least), target, p)) * np.mean((0.1 * wrong) ** 2)
    assert weighted == pytest.approx(np.clip(snr, least, 5.0) * np.mean((guess - x0) ** 2), rel=1e-4)


@pytest.mark.parametrize("path, t", POINTS)
def test_velocity_weight_counts_its_error_as_it_is(path, t):
    assert float(answer_weight(velocity_weight, TARGETS["velocity"], exact(path, t))) == pytest.approx(1, rel=1e-4)


# --- preconditioning ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", PLACES["exploding"][1])
def test_karras_scales_keep_the_network_at_variance_one(t):
    """What enters it and what it should answer, for data of deviation 0.5; its squared error has weight 1."""
    p, deviation = exact(exploding, t), 0.5
    skip, out, scale, time = (float(v) for v in karras_scales(deviation)(p))
    x0, eps = deviation * np.float64(draw(0, 100_000)), np.float64(draw(1, 100_000))
    x = mix(x0, eps, p)
    assert np.std(scale * x) == pytest.approx(1, rel=0.01)
    assert np.std((x0 - skip * x) / out) == pytest.approx(1, rel=0.01)
    assert float(karras_weight(deviation)(p)) * out**2 == pytest.approx(1, rel=1e-4)
    assert time == pytest.approx(np.log(t) / 400, rel=1e-4)


def test_edm_asks_its_network_for_v():
    """With data of deviation 1 the network's own target is -v of the path with unit variance at the same level."""
    p, x0, eps = exact(exploding, 0.7), np.float64(draw(0, 9)), np.float64(draw(1, 9))
    skip, out, *_ = karras_scales(1.0)(p)
    norm = np.sqrt(1 + p.sigma**2)
    v = ask(TARGETS["v"], x0, eps, p._replace(alpha=1 / norm, sigma=p.sigma / norm))
    np.testing.assert_allclose((x0 - skip * mix(x0, eps, p)) / out, -v, rtol=1e-5)


def test_precondition_gives_each_example_its_time():
    p, x = exploding(jnp.array([0.5, 2.0])), draw(0, 2, 2, 2, 1)
    seen = []
    found = precondition(karras_scales(0.5), lambda y, t: seen.append(t) or jnp.zeros_like(y), x, p.against(x))
    np.testing.assert_allclose(seen[0], np.log([0.5, 2.0]) / 400, rtol=1e-5)
    np.testing.assert_allclose(found[1], x[1] * 0.25 / 4.25, rtol=1e-5)
