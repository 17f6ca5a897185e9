"""Differentiable augmentation: each part does what it says to its own picture, and the strength follows the critic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods.diffaugment import PARTS, Adaptive, DiffAugment, color, cutout, translation

SIZE = 16


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def draw(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1)


def test_translation_moves_and_fills_with_zeros():
    image = 1 + draw(0, SIZE, SIZE, 3) ** 2  # nothing in it is zero
    wide = np.pad(np.asarray(image), [(2, 2), (2, 2), (0, 0)])
    crops = {(i, j): wide[i : i + SIZE, j : j + SIZE] for i in range(5) for j in range(5)}
    met = set()
    for moved in jax.jit(jax.vmap(translation, (0, None)))(keys(200), image):
        (place,) = [place for place, crop in crops.items() if np.allclose(crop, moved, atol=1e-5)]
        met.add(place)
    assert met == set(crops)  # up to an eighth of the side either way


def test_cutout_blanks_a_square_of_half_the_side():
    cut = np.asarray(jax.jit(jax.vmap(cutout, (0, None)))(keys(300), jnp.ones((SIZE, SIZE, 3))))
    assert set(np.unique(cut)) == {0.0, 1.0}
    areas = (cut[..., 0] == 0).sum((1, 2))
    assert areas.max() == (SIZE // 2) ** 2 and areas.min() >= (SIZE // 4) ** 2
    blank = np.argwhere(cut[areas.argmax(), ..., 0] == 0)
    assert (np.ptp(blank, axis=0) == SIZE // 2 - 1).all()
    assert (cut[..., 0] == 0).mean(0).min() > 0  # any place may be hidden


def test_color_changes_light_vividness_and_contrast_alone():
    """Each pixel's grey moves by one gain and shift, and its colorfulness by one factor; places stay."""
    image = np.float64(draw(1, SIZE, SIZE, 3))
    grey = image.mean(-1)
    gains, factors, shifts = [], [], []
    for changed in np.float64(jax.jit(jax.vmap(color, (0, None)))(keys(200), image.astype("f"))):
        new = changed.mean(-1)
        gain, shift = np.polyfit(grey.ravel(), new.ravel(), 1)
        np.testing.assert_allclose(new, gain * grey + shift, atol=1e-4)
        factor = np.linalg.norm(changed - new[..., None]) / np.linalg.norm(image - grey[..., None])
        np.testing.assert_allclose(changed - new[..., None], factor * (image - grey[..., None]), atol=1e-4)
        gains.append(gain)
        factors.append(factor / gain)
        shifts.append(new.mean() - grey.mean())
    for found, low, high in ((gains, 0.5, 1.5), (factors, 0, 2), (shifts, -0.5, 0.5)):
        assert low <= min(found) < low + 0.1 and high - 0.1 < max(found) <= high


@pytest.mark.parametrize("name", PARTS)
def test_each_picture_is_disturbed_by_its_own_key(name):
    apply, images = jax.jit(lambda keys, x: DiffAugment((name,)).apply(keys, x, {})), draw(2, 4, SIZE, SIZE, 3)
    found = apply(keys(4), images)
    np.testing.assert_allclose(apply(keys(4)[2:], images[2:]), found[2:], atol=1e-6)
    same = apply(keys(4), images[:1].repeat(4, 0))
    assert len(np.unique(np.asarray(same).reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("name", PARTS)
def test_the_gradient_passes_through(name):
    """Every part is affine in the picture, so its gradient says exactly how the answer moves."""
    image, move, toward = draw(3, 1, SIZE, SIZE, 3), draw(4, 1, SIZE, SIZE, 3), draw(5, 1, SIZE, SIZE, 3)

    @jax.jit
    def answer(x):
        return jnp.sum(DiffAugment((name,)).apply(keys(1), x, {}) * toward)

    grad = jax.grad(answer)(image)
    assert float(answer(image + move) - answer(image)) == pytest.approx(float(jnp.sum(grad * move)), abs=2e-3)
    assert float(abs(grad).max()) > 0


def test_no_parts_and_no_strength_leave_pictures_as_they_are():
    images, parts = draw(6, 4, SIZE, SIZE, 3), tuple(PARTS)
    assert DiffAugment().apply(keys(4), images, {}) is images
    adaptive = DiffAugment(parts, target=0.6, steps=10)
    np.testing.assert_array_equal(adaptive.apply(keys(4), images, adaptive.init()), images)


def test_strength_is_the_share_of_pictures_that_a_part_meets():
    adaptive, ones = DiffAugment(("cutout",), target=0.6, steps=10), jnp.ones((2000, 4, 4, 1))
    cut = adaptive.apply(keys(2000), ones, {"augment": Adaptive(jnp.float32(0.3), jnp.float32(0))})
    assert float((cut.min((1, 2, 3)) == 0).mean()) == pytest.approx(0.3, abs=0.04)


def test_strength_rises_on_a_sure_critic_and_falls_on_an_unsure_one():
    """The step goes by the sign seen the step before: 0.25 per step here, within [0, 1]."""
    adaptive, strengths = DiffAugment(("color",), target=0.6, steps=4), []
    extra = {"other": 1, **adaptive.init()}
    for answers in [[2.0, 3.0]] * 6 + [[1.0, -1.0]] * 3:
        extra, metrics = adaptive.adapt(extra, jnp.array(answers))
        strengths.append(float(extra["augment"].strength))
    assert strengths == [0, 0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5] and extra["other"] == 1
    assert metrics == {"augment/strength": 0.5, "augment/sign": 0.0}
    assert DiffAugment(("color",)).adapt({}, jnp.ones(2)) == ({}, {})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"parts": ("blur",)}, "diffaugment=blur .*color, translation, cutout"),
        ({"parts": ("color",), "target": 1.0}, "augment_target=1.0"),
        ({"target": 0.6}, "needs parts"),
        ({"parts": ("color",), "target": 0.6, "steps": 0}, "augment_steps"),
    ],
)
def test_settings_that_cannot_be(settings, named):
    with pytest.raises(InputError, match=named):
        DiffAugment(**settings)
