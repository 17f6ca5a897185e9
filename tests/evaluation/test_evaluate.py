"""The record, and the measures' own sanity on pictures: ladders of noise and blur, copies, floor and ceiling."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.measures import measure
from prodgen_jax.evaluation.tables import results_table


@pytest.fixture(scope="module")
def record(prepared, network, fresh):
    return evaluate(fresh[:200], prepared, network=network, name="fresh", category="colour")


def noised(images, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


def blurred(images, sigma):
    return np.stack([gaussian_filter(image, (sigma, sigma, 0)) for image in images])


def test_record_is_complete_json(record, prepared, network):
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["n"] == {"given": 200, "samples": 200, "reference": 400}
    assert record["network"]["weights_sha256"] == network.weights_sha256
    assert record["network"]["accuracy"]["shape"]["accuracy"] > 0.9
    assert record["prepared"]["fingerprint"] == prepared.fingerprint
    assert "fid" not in json.dumps(record).lower().replace("sha256", "")


NAMES = ("accuracy", "splits", "versions", "planted_recall", "rungs", "rules", "statistics", "attributes")


def keys(tree):
    """All names of fields in a record, but not those of values: attributes, kinds of copies, packages, categories."""
    for key, value in tree.items():
        yield key
        if isinstance(value, dict) and key not in NAMES:
            inner = value.values() if key in ("measured", "refused", "metrics", "by_category") else [value]
            for found in inner:
                yield from keys(found)


def test_every_field_is_documented(record):
    page = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
    assert [key for key in keys(record) if f"`{key}`" not in page] == []


def test_real_pictures_stand_at_the_floor_and_far_from_the_ceiling(record):
    fresh, floor, ceiling = (record[who] for who in ("samples", "floor", "ceiling"))
    assert fresh["fcd"] < 1.5 * floor["fcd"] < 0.3 * ceiling["fcd"]
    assert abs(fresh["kid"]) < 5 * (fresh["kid_stderr"] + floor["kid_stderr"]) < ceiling["kid"]
    assert ceiling["precision"] < 0.3 < 0.7 < fresh["precision"]
    assert ceiling["coverage"] < 0.1 < 0.7 < fresh["coverage"]
    assert ceiling["two_sample_p"] < 0.01


def test_same_seed_same_record(record, prepared, network, fresh):
    again = evaluate(fresh[:200], prepared, network=network, name="fresh", category="colour")
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


def test_a_set_that_is_too_small_is_refused_before_anything_is_trained(tiny):
    with pytest.raises(InputError, match="40 photos in 'train', measuring needs 64 or more; prepare a larger set"):
        evaluate(np.zeros((64, 8, 8, 3), np.uint8), tiny)


def test_what_was_asked_is_compared_with_what_is_read(prepared, network):
    """Real photos and their own labels, with the first network for a judge: calibrated, they are perfect."""
    test = prepared.split("test")
    asked = {"shape": test.labels["shape"]}
    record = evaluate(test.images, prepared, network=network, asked=asked, judge=network, against="validation")
    found = record["control"]["attributes"]["shape"]
    assert found["ratio"] == pytest.approx(1) and found["passed"] and record["categories"]["by"] in ("asked", "read")


def test_old_records_are_still_shown():
    """A record as it was written before intervals, categories and self-tests."""
    page = Path(__file__).parents[2] / "docs" / "results" / "spine"
    records = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(page.glob("*.json"))]
    assert records and all(record["name"] in results_table(records) for record in records)
    assert results_table(records, full=True).count("|") > results_table(records).count("|")
