"""The record, and the measures' own sanity on pictures: ladders of noise and blur, copies, floor and ceiling."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import evaluate as module
from prodgen_jax.evaluation.evaluate import evaluate, measure


@pytest.fixture(scope="module")
def record(prepared, network, fresh):
    return evaluate(fresh[:200], prepared, network=network, name="fresh")


def noised(images, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


def blurred(images, sigma):
    return np.stack([gaussian_filter(image, (sigma, sigma, 0)) for image in images])


def test_record_is_complete_json(record, prepared, network):
    assert json.loads(json.dumps(record)) == record
    assert record["n"] == {"given": 200, "samples": 200, "reference": 400}
    assert record["network"]["weights_sha256"] == network.weights_sha256
    assert record["network"]["accuracy"]["shape"]["accuracy"] > 0.9
    assert record["prepared"]["fingerprint"] == prepared.fingerprint
    for key in module.__doc__.split('"samples":')[0].split('"')[1::2]:
        assert key in record or key in record["n"], key
    assert "fid" not in json.dumps(record).lower().replace("sha256", "")


def test_real_pictures_stand_at_the_floor_and_far_from_the_ceiling(record):
    fresh, floor, ceiling = (record[who] for who in ("samples", "floor", "ceiling"))
    assert fresh["fcd"] < 1.5 * floor["fcd"] < 0.3 * ceiling["fcd"]
    assert abs(fresh["kid"]) < 5 * (fresh["kid_stderr"] + floor["kid_stderr"]) < ceiling["kid"]
    assert ceiling["precision"] < 0.3 < 0.7 < fresh["precision"]
    assert ceiling["coverage"] < 0.1 < 0.7 < fresh["coverage"]
    assert ceiling["two_sample_p"] < 0.01


def test_same_seed_same_record(record, prepared, network, fresh):
    again = evaluate(fresh[:200], prepared, network=network, name="fresh")
    assert {**again, "seconds": 0} == {**record, "seconds": 0}


@pytest.mark.parametrize("spoil, ladder", [(noised, (30, 60, 120)), (blurred, (0.6, 1.2, 2.5))])
def test_monotone_under_damage(prepared, network, fresh, spoil, ladder):
    reference = network.features(prepared.split("test").images)
    steps = [fresh, *(spoil(fresh, strength) for strength in ladder)]
    found = [measure(reference, network.features(images), np.random.default_rng(0)) for images in steps]
    for key in ("fcd", "kid"):
        values = [at[key] for at in found]
        assert values == sorted(values) and values[-1] > 2 * values[0], (key, values)


def test_copies_of_one_picture_score_no_variety(prepared, network, fresh):
    same = evaluate(np.tile(fresh[:1], (100, 1, 1, 1)), prepared, network=network)["samples"]
    assert same["recall"] < 0.02 and same["coverage"] < 0.1 and same["vendi"] == pytest.approx(1, abs=1e-3)


def test_bad_samples_are_refused(prepared, network, fresh):
    for bad, word in (
        (fresh[:63], "63"),
        (fresh.astype(np.float32), "float32"),
        (fresh[:, :8], "16 16 3"),
        (fresh[..., :1], "16 16 3"),
        (fresh[0], "uint8"),
    ):
        with pytest.raises(InputError, match=word):
            evaluate(bad, prepared, network=network)
    with pytest.raises(InputError, match="no split"):
        evaluate(fresh, prepared, network=network, against="elsewhere")
