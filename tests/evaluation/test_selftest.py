"""The self-test itself: it passes measures that see, and fails measures that are blind, upside down or saturated."""

import json

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import selftest
from prodgen_jax.evaluation.plots import self_test_plot
from prodgen_jax.evaluation.selftest import END, RUNGS, SPOILERS, STEPS, failures, holds
from prodgen_jax.evaluation.tables import results_table


class Flat:
    """Features that are a few coarse pixels: no training, and noise, blur and copies all show."""

    def features(self, images):
        return images[:, ::4, ::4].reshape(len(images), -1).astype(np.float32) / 255


class Blind:
    """Features that have nothing to do with the picture."""

    def features(self, images):
        return np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)


@pytest.fixture(scope="module")
def found(prepared, network):
    reference = network.features(prepared.split("test").images)
    return selftest.self_test(network, reference, prepared.split("train").images[:600], np.random.default_rng(0))


def test_measures_over_a_trained_network_pass(found):
    assert json.loads(json.dumps(found)) == found and found["n"] == 300
    for key in ("fcd", "kid", "coverage", "precision"):
        assert found["metrics"][key]["passed"], (key, found["metrics"][key])
    assert found["metrics"]["vendi"]["copies"][-1] == pytest.approx(1, abs=1e-3)


def test_over_blind_features_every_measure_of_realism_fails(prepared):
    photos = np.asarray(prepared.split("train").images[:300])
    found = selftest.self_test(Blind(), Blind().features(photos[:100]), photos, np.random.default_rng(0))
    for key in ("fcd", "kid", "precision", "density", "coverage", "two_sample_accuracy"):
        assert {"noise", "blur"} <= set(found["metrics"][key]["failed"]), key


@pytest.mark.parametrize(
    ("values", "sign", "rule", "expected"),
    [
        ([1, 2, 4, 8], 1, STEPS, True),
        ([0.5, 0.8, 0.5, 0.1], -1, STEPS, False),  # the first rung is better than no damage by far more than chance
        ([0.8, 0.8, 0.5, 0.1], -1, STEPS, True),  # a lucky draw is lucky on its first rung as well
        ([1, 2, 8, 4], 1, STEPS, False),  # one step back
        ([1, 2, 8, 7.99], 1, STEPS, True),  # back by no more than chance
        ([1, 1.01, 1.0, 1.02], 1, STEPS, False),  # nothing seen
        ([0.5, 0.4, 0.9, 0.45], -1, END, True),
        ([0.5, 0.4, 0.3, 0.9], -1, END, False),  # noise passes for variety
        ([1.0, 1.0, 1.0, float("nan")], 1, STEPS, False),
    ],
)
def test_order(values, sign, rule, expected):
    assert holds(values, 1.0 if sign > 0 else 0.5, 0.01, sign, rule) is expected


def test_ladders_are_ladders(fresh):
    rng = np.random.default_rng(0)
    for name in ("noise", "blur"):
        off = [np.abs(SPOILERS[name](fresh, rung, rng).astype(float) - fresh).mean() for rung in RUNGS[name]]
        assert off == sorted(off) and off[0] > 0, name
    distinct = [len(np.unique(SPOILERS["copies"](fresh, rung, rng), axis=0)) for rung in RUNGS["copies"]]
    assert distinct == [100, 20, 1]


def test_a_failed_measure_is_marked_and_struck_out(found):
    measures = {key: 0.5 for key in ("fcd", "kid", "kid_stderr", "precision", "recall", "density", "coverage", "vendi")}
    record = {
        "name": "a",
        "samples": measures,
        "floor": measures,
        "ceiling": measures,
        "copies": {"copies": 0, "of": 9},
    }
    recall = {**found["metrics"]["recall"], "passed": False, "failed": ["noise"]}
    spoiled = {**found, "metrics": {**found["metrics"], "recall": recall}}
    assert failures([record]) == set() and "recall" in failures([record, {**record, "self_test": spoiled}])
    table = results_table([{**record, "self_test": spoiled}])
    assert "<s>recall</s>" in table and "<s>0.50</s>" in table and "<s>FCD</s>" not in table
    titles = [axis.get_title("left") for axis in self_test_plot(spoiled).axes]
    assert "recall: FAILED: noise" in titles and "FCD: passed" in titles


def test_too_few_photos_are_refused(fresh):
    with pytest.raises(InputError, match="127 photos"):
        selftest.self_test(Flat(), Flat().features(fresh), fresh[:127], np.random.default_rng(0))
