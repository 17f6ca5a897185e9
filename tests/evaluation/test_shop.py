"""Shop rules on pictures that break one of them each; drift of style; categories and their refusal."""

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import shop
from prodgen_jax.evaluation.categories import Labeled, by_category, pick_attribute
from prodgen_jax.evaluation.style import drift


def product(size=32, background=250, ink=120, low=6, high=26):
    image = np.full((size, size, 3), background, np.uint8)
    image[low:high, low:high] = ink
    return image


BROKEN = {
    "size": product(size=16, low=3, high=13),
    "background": product(background=200),
    "fill": product(low=12, high=20),
    "sharpness": (np.mgrid[0:32, 0:32].min(0)[..., None] * 6 + np.full(3, 60)).clip(0, 255).astype(np.uint8),
    "exposure": product(ink=8),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_sees_its_fault(rule):
    good, bad = shop.check(product()[None]), shop.check(BROKEN[rule][None])
    assert all(ok[0] for ok in good.values())
    assert not bad[rule][0] and not bad["all"][0]
    if rule != "sharpness":  # a soft gradient has no white border either
        assert [name for name, ok in bad.items() if not ok[0]] == [rule, "all"]


def test_an_empty_picture_shows_no_product():
    passed = shop.check(np.full((1, 32, 32, 3), 255, np.uint8))
    assert not passed["fill"][0] and not passed["exposure"][0] and passed["background"][0]


def test_a_report_stands_beside_real_photos():
    good, bad = product()[None].repeat(40, 0), BROKEN["background"][None].repeat(40, 0)
    samples, real = np.concatenate([good, bad]), np.concatenate([good, good])
    values = (np.arange(80) // 40, np.concatenate([np.zeros(40, int), np.arange(40) // 35 + 1]))
    found = shop.report(samples, real, values, {0: "cup", 1: "hat", 2: "pin"})
    assert found["samples"]["all"]["rate"] == 0.5 and found["real"]["all"]["rate"] == 1
    assert found["by_category"]["cup"]["samples"]["rate"] == 1 and found["by_category"]["hat"]["samples"]["rate"] == 0
    assert found["too_few"] == 1 and found["by_category"]["hat"]["real"]["n"] == 35


def test_an_injected_color_shift_is_found_and_nothing_else(prepared, fresh):
    train = np.asarray(prepared.split("train").images)
    assert drift(train, fresh)["drifted"] == []
    warm = (fresh + np.array([6, 0, 0])).clip(0, 255).astype(np.uint8)
    found = drift(train, warm)
    assert "red over green" in found["drifted"] and "fine edges" not in found["drifted"]
    assert 3 < found["statistics"]["red over green"]["shift"] < 7


def test_categories_are_measured_or_refused():
    rng = np.random.default_rng(0)
    values = np.repeat([0, 1, 2, -1], [60, 60, 10, 20])
    real, ours = (Labeled(rng.normal(size=(150, 4)), values) for _ in range(2))
    worse = Labeled(ours.features + 3 * (values == 1)[:, None], values)
    found = by_category(["a", "b", "c", "d"], real, worse, ours)
    assert set(found["measured"]) == {"a", "b"}
    assert found["refused"] == {"c": {"samples": 10, "reference": 10, "floor": 10}}
    assert found["measured"]["b"]["samples"]["kid"] > 5 * abs(found["measured"]["a"]["samples"]["kid"])
    assert found["measured"]["b"]["floor"]["precision"] > 0.7 > 0.1 > found["measured"]["b"]["samples"]["precision"]


def test_the_attribute_with_most_measurable_values_is_taken(prepared):
    columns = {"shape": [np.repeat([0, 1, 2], 60)] * 3, "colour": [np.repeat([0, 1, 2, 3], [80, 80, 10, 10])] * 3}
    assert pick_attribute(prepared, columns, None) == "shape"
    assert pick_attribute(prepared, columns, "colour") == "colour"
    with pytest.raises(InputError, match="'brand': known are shape, colour"):
        pick_attribute(prepared, columns, "brand")
