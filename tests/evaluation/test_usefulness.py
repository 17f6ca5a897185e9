"""What samples teach a classifier: photos in their place teach as photos do, shuffled labels teach nothing."""

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.usefulness import LEAST, SHARES, summary, usefulness

N, STEPS = 400, 60


@pytest.fixture(scope="module")
def good(prepared):
    """As many training photos as there would be samples, with their shapes."""
    train = prepared.split("train")
    return np.asarray(train.images[:N]), train.labels["shape"][:N]


@pytest.mark.long
def test_good_samples_teach_and_shuffled_labels_do_not(prepared, good):
    images, shape = good
    found = usefulness(images, shape, prepared, "shape", seeds=1, steps=STEPS)
    wrong = np.random.default_rng(0).permutation(shape)
    spoiled = usefulness(images, wrong, prepared, "shape", seeds=1, steps=STEPS)
    assert found["samples"][0] > found["real"][0] - 0.1 > 0.6
    assert spoiled["samples"][0] < 0.5 < found["samples"][0]
    assert spoiled["real"] == found["real"]  # what does not depend on the samples is the same
    (few,), (few_spoiled,) = found["shares"], spoiled["shares"]
    assert few["photos"] == int(0.25 * 1200) and few["alone"] == few_spoiled["alone"]
    assert few_spoiled["gain"][0] < few["gain"][0]
    assert [share for share in SHARES if share * 1200 >= LEAST] == [few["share"]]


def test_gains_are_taken_seed_by_seed():
    """Two seeds that differ by 0.2 in everything agree on the gain."""
    found = summary(np.array([[0.9, 0.8, 0.5, 0.6], [0.7, 0.6, 0.3, 0.4]]), [0.1], 1000)
    assert found["shares"][0]["gain"] == (pytest.approx(0.1), pytest.approx(0, abs=1e-9))
    assert found["shares"][0]["alone"][0] == pytest.approx(0.4) and found["shares"][0]["photos"] == 100
    assert found["real"][0] == pytest.approx(0.8) and found["samples"][0] == pytest.approx(0.7)


def test_what_cannot_be_learned_is_refused(prepared, network, good):
    images, shape = good
    with pytest.raises(InputError, match="serial: no attribute with two values"):
        usefulness(images, shape, prepared, "serial")
    with pytest.raises(InputError, match="shape: 10 samples with a value"):
        usefulness(images, np.where(np.arange(N) < 10, shape, -1), prepared, "shape")
    with pytest.raises(InputError, match="not asked for 'shape', but for colour"):
        evaluate(images, prepared, network=network, asked={"colour": shape}, useful_for="shape")
    with pytest.raises(InputError, match="not asked for 'shape', but for nothing"):
        evaluate(images, prepared, network=network, useful_for="shape")
