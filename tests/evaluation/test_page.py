"""The page of a record: every flagged copy beside its product, and nothing fetched from elsewhere."""

import re

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.page import inline, page


@pytest.fixture(scope="module")
def made(prepared, network, fresh):
    """Three stolen photos among 97 new ones, under a name that needs escaping."""
    images = np.concatenate([fresh[:97], prepared.split("train").images[[3, 5, 8]]])
    return evaluate(images, prepared, network=network, name="<a & b>"), images


def test_flagged_samples_stand_beside_their_products(made, prepared):
    record, images = made
    said = page(record, images, prepared)
    for row, product in ((97, 3), (98, 5), (99, 8)):
        assert f"sample {row} · product train-{product} · distance 0.000" in said
        assert said.count(inline(images[row])) == 2  # the sample, and the product that it is
    assert "&lt;a &amp; b&gt;" in said and "<a & b>" not in said
    assert re.findall(r'(?:src|href)="(?!data:)', said) == [] and 'class="copy"' in said


def test_the_rate_has_an_interval(made, prepared):
    found = made[0]["copies"]
    assert found["copies"] == len(found["flagged"]) >= 3
    low, high = found["rate_interval"]
    assert low < found["rate"] < high and f"{low:.2%} to {high:.2%}" in page(*made, prepared)


def test_other_pictures_are_refused(made, prepared):
    with pytest.raises(InputError, match="50 pictures"):
        page(made[0], made[1][:50], prepared)
