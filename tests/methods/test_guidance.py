"""Hiding attributes while training, and guidance by them, on Gaussians whose guided answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods.gaussian import curved, exploding
from prodgen_jax.methods.guidance import Guidance, blend, check_guidance, guided, hide
from prodgen_jax.methods.samplers import heun, sample_loop

N, SPREAD = 4000, 0.1
MEANS = jnp.array([0.0, 0.1, -0.2])  # of 'not said', and of two values


def hidden(together, each, attributes=2):
    """Whether each attribute was hidden: [attributes N]."""
    keys = jax.random.split(jax.random.key(0), N)
    label = {f"a{i}": jnp.full(N, i) for i in range(attributes)}
    found = hide(keys, label, together, each)
    assert all(np.isin(values, (-1, i)).all() for i, values in enumerate(found.values()))
    return np.stack([np.asarray(values) == -1 for values in found.values()])


def test_attributes_are_hidden_independently_of_each_other():
    first, second = hidden(0.0, 0.3)
    for a in (False, True):
        for b in (False, True):
            expected = (0.3 if a else 0.7) * (0.3 if b else 0.7)
            assert np.mean((first == a) & (second == b)) == pytest.approx(expected, abs=0.03)


def test_or_all_together():
    first, second = hidden(0.25, 0.0)
    assert (first == second).all() and first.mean() == pytest.approx(0.25, abs=0.03)
    both = hidden(0.25, 0.3)
    assert both.mean(1) == pytest.approx([0.25 + 0.75 * 0.3] * 2, abs=0.03)


def test_one_attribute_is_hidden_by_the_first_draw_alone():
    assert hidden(0.0, 1.0, attributes=1).mean() == 0
    assert hide(jax.random.split(jax.random.key(0), 3), {}, 0.5, 0.5) == {}


def denoise(x, p, label):
    """E[x0 | x] for data of one mean per label and the same spread."""
    mean = MEANS[label["type"] + 1][:, None]
    return mean + p.alpha * SPREAD**2 / (p.alpha**2 * SPREAD**2 + p.sigma**2) * (x - p.alpha * mean)


def counted(sizes):
    return lambda x, p, label: sizes.append(len(x)) or denoise(x, p, label)


def test_no_guidance_is_one_evaluation():
    sizes, x, p = [], jnp.ones((3, 1)), exploding(jnp.array(0.5))
    label = {"type": jnp.array([0, 1, -1])}
    found = guided(counted(sizes), label, Guidance(1.0, 0.1, 0.2, 0.5))(x, p)
    np.testing.assert_array_equal(found, denoise(x, p, label))
    assert sizes == [3]
    guided(counted(sizes), label, Guidance(2.0))(x, p)
    assert sizes == [3, 6]  # two evaluations, in one call of twice the batch


def test_guidance_goes_away_from_what_was_not_said():
    """Hand-made: blank + scale (said - blank); an example that says nothing stays as it is."""
    x, p = jnp.full((3, 1), 0.7), exploding(jnp.array(0.5))
    label = {"type": jnp.array([0, 1, -1])}
    said, blank = denoise(x, p, label), denoise(x, p, {"type": jnp.full(3, -1)})
    found = guided(denoise, label, Guidance(2.5))(x, p)
    np.testing.assert_allclose(found, blank + 2.5 * (said - blank), rtol=1e-5)
    np.testing.assert_allclose(found[2], said[2], rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_a_guided_gaussian_has_its_mean_moved(scale):
    """With equal spreads, blank + scale (said - blank) is the score of N(m0 + scale (m1 - m0), spread^2)."""
    keys, label = jax.random.split(jax.random.key(0), N), {"type": jnp.full(N, 0)}
    told = guided(denoise, label, Guidance(scale))
    drawn = sample_loop(told, heun, exploding(curved(40, 0.002, 80, 7)), keys, (1,))
    assert float(drawn.mean()) == pytest.approx(scale * 0.1, abs=4 * SPREAD / np.sqrt(N))
    assert float(drawn.std()) == pytest.approx(SPREAD, rel=0.05)


@pytest.mark.parametrize("sigma, on", [(0.2, False), (0.4, True), (1.0, True), (2.0, False)])
def test_the_interval_of_guidance(sigma, on):
    x, p, label = jnp.full((1, 1), 0.7), exploding(jnp.array(sigma)), {"type": jnp.array([1])}
    found = guided(denoise, label, Guidance(3.0, 0.3, 1.5))(x, p)
    expected = guided(denoise, label, Guidance(3.0 if on else 1.0))(x, p)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("bounds", [(0.0, float("inf")), (0.3, 1.5)])
def test_each_picture_may_stand_at_a_point_of_its_own(bounds):
    """As in training: what is guided at many points at once is what is guided at each alone."""
    x, label = jnp.array([[0.7], [0.1], [-0.4]]), {"type": jnp.array([0, 1, 1])}
    sigmas, told = jnp.array([[0.2], [0.5], [2.0]]), Guidance(3.0, *bounds)
    together = guided(denoise, label, told)(x, exploding(sigmas))
    for i in range(3):
        own = {"type": label["type"][i : i + 1]}
        alone = guided(denoise, own, told)(x[i : i + 1], exploding(sigmas[i, 0]))
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-5)


def test_rescale_gives_the_deviation_back():
    """Lin 2024, eq. 15 and 16, per picture."""
    said, blank = (jax.random.normal(jax.random.key(i), (2, 4, 4, 3)) for i in (0, 1))
    plain, half, full = (np.asarray(blend(said, blank, 4.0, share)) for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(full.std((1, 2, 3)), said.std((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(half, (plain + full) / 2, rtol=1e-4, atol=1e-5)
    assert (plain.std((1, 2, 3)) > 2 * full.std((1, 2, 3))).all()


@pytest.mark.parametrize(
    "guidance, named",
    [
        (Guidance(-1.0), "guidance=-1"),
        (Guidance(float("nan")), "guidance=nan"),
        (Guidance(2.0, 3.0, 1.0), "guidance_from=3"),
        (Guidance(2.0, rescale=1.5), "guidance_rescale=1.5"),
    ],
)
def test_numbers_that_cannot_be_are_refused(guidance, named):
    with pytest.raises(InputError, match=named):
        check_guidance(guidance, {"type": 3})


def test_nothing_to_guide_by_is_refused():
    check_guidance(Guidance(), {})
    with pytest.raises(InputError, match="guidance=2.0: this model is not conditional"):
        check_guidance(Guidance(2.0), {})
