"""The page of a record: every flagged copy beside its product, and nothing fetched from elsewhere."""

import json
import re

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.page import page, pixels, write_report
from prodgen_jax.evaluation.selftest import RUNGS


def titles(said):
    return re.findall(r"<h2>(.*?)</h2>", said)


@pytest.fixture(scope="module")
def made(prepared, network, fresh):
    """Three stolen photos among 97 new ones, under a name that needs escaping."""
    images = np.concatenate([fresh[:97], prepared.split("train").images[[3, 5, 8]]])
    return evaluate(images, prepared, network=network, name="<a & b>"), images


def test_flagged_samples_stand_beside_their_products(made, prepared):
    record, images = made
    said = page(record, images, prepared)
    for row, product in ((97, 3), (98, 5), (99, 8)):
        # the distance is a root of a difference of sums in float32: of a copy it may be a thousandth
        assert re.search(rf"sample {row} · product train-{product} · distance 0\.00[01]", said)
        source = pixels(images[row], "").split('"')[1]
        assert said.count(source) == 2  # the sample, and the product that it is
    assert "&lt;a &amp; b&gt;" in said and "<a & b>" not in said
    assert re.findall(r'(?:src|href)="(?!data:)', said) == [] and 'class="copy"' in said


def test_the_rate_has_an_interval(made, prepared):
    found = made[0]["copies"]
    assert found["copies"] == len(found["flagged"]) >= 3
    low, high = found["rate_interval"]
    assert low < found["rate"] < high and f"{low:.2%} to {high:.2%}" in page(*made, prepared)


def test_a_section_for_all_that_was_measured_and_none_for_what_was_not(made, prepared):
    """Optional parts come and go with the record; a failed self-test is named, shuffled labels that do not fall too."""
    record, images = made
    short = titles(page(record, images, prepared))
    assert short[:2] == ["All measures", "Per category"] and not any("classifier" in title for title in short)
    ladder = {
        "start": 1.0,
        "floor": 1.0,
        "spread": 0.1,
        **{name: [1, 2, 3] for name in RUNGS},
        "claims": {},
        "failed": ["blur"],
    }
    at = {
        "n": 90,
        "accuracy": 0.5,
        "interval": [0.4, 0.6],
        "real": 0.8,
        "chance": 0.2,
        "shuffled": 0.9,
        "passed": False,
    }
    share = {"share": 0.25, "photos": 300, "alone": [0.5, 0.1], "with_samples": [0.6, 0.1], "gain": [0.1, 0.02]}
    metrics, rungs = {"kid": {**ladder, "passed": False}}, {name: [1, 2, 3] for name in RUNGS}
    whole = {
        "self_test": {"n": 64, "rungs": rungs, "metrics": metrics},
        "fid": {"file_sha256": "ab", "published": False, "reference": 400}
        | {who: {"fid": 1.0, "kid": 0.1, "kid_stderr": 0.1, "n": 9} for who in ("samples", "floor", "ceiling")},
        "control": {"attributes": {"shape": at, "serial": {"refused": "too rare"}}},
        "usefulness": {"attribute": "shape", "values": 3, "commonest": 0.4, "n": 100, "seeds": 3, "steps": 9}
        | {"samples": [0.5, None], "real": [0.6, 0.01], "shares": [share]},
    }  # fmt: skip
    said = page({**record, **whole}, images, prepared)
    assert len(titles(said)) == len(short) + len(whole)
    for word in (
        "<s>KID</s>",
        "Struck out above: KID",
        "no FID",
        "90.0% FAILED",
        "serial: too rare",
        "300 (25%)",
        "10.0% ± 2.0%",
    ):
        assert word in said, word


def test_record_and_page_stand_side_by_side(made, prepared, tmp_path):
    beside = write_report(tmp_path / "new" / "r.json", *made, prepared)
    assert beside == tmp_path / "new" / "r.html" and beside.read_text() == page(*made, prepared)
    assert json.loads((tmp_path / "new" / "r.json").read_text())["name"] == "<a & b>"


def test_other_pictures_are_refused(made, prepared):
    with pytest.raises(InputError, match="50 pictures"):
        page(made[0], made[1][:50], prepared)
