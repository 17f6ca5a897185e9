"""Few labels: a ridge whose penalty brute force agrees with, a choice that never peeks, and what a run is worth."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import few_labels as module
from prodgen_jax.evaluation.few_labels import by_doubt, check_few_labels, features_of, few_labels, learn, standardized
from prodgen_jax.evaluation.runs import in_words
from prodgen_jax.evaluation.sections import few_labels as section
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.spec import Spec

VALUES = (2, 5, 7)


def clouds(n, d, seed=0):
    """Three overlapping clouds."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(VALUES, n)
    middles = np.random.default_rng(9).standard_normal((8, d))
    return middles[labels] + 1.5 * rng.standard_normal((n, d)), labels


def by_hand(x, y, ridge):
    """(weights, bias) of the ridge that leaves the bias alone."""
    middle, bias = x.mean(0), y.mean(0)
    weights = np.linalg.solve((x - middle).T @ (x - middle) + ridge * np.eye(x.shape[1]), (x - middle).T @ (y - bias))
    return weights, bias - middle @ weights


@pytest.mark.parametrize("n, d", [(30, 8), (12, 40)])
def test_the_penalty_is_the_one_that_errs_least_on_photos_left_out(n, d, monkeypatch):
    """Against as many trainings as there are photos, for more photos than features and for fewer."""
    x, labels = clouds(n, d)
    y = np.float64(labels[:, None] == VALUES)
    centered = x - x.mean(0)
    scale = np.mean([v for v in np.linalg.eigvalsh(centered.T @ centered) if v > 1e-9])
    found = {}
    for ridge in scale * module.RIDGES:
        weights, bias = by_hand(x, y, ridge)
        found[ridge] = (weights, bias, 0.0)
        for i in range(n):
            rest = np.arange(n) != i
            left = by_hand(x[rest], y[rest], ridge)
            found[ridge] = (weights, bias, found[ridge][2] + np.sum((y[i] - x[i] @ left[0] - left[1]) ** 2))
    weights, bias, _ = min(found.values(), key=lambda at: at[2])
    reader = learn(x, labels, VALUES)
    np.testing.assert_allclose(reader.scores(x), x @ weights + bias, atol=1e-6)
    assert len({int(at[2] * 1e6) for at in found.values()}) > 3  # the penalties differ


def test_a_reader_reads_and_knows_where_it_doubts():
    x, labels = clouds(600, 6)
    reader = learn(x[:300], labels[:300], VALUES)
    right = reader.read(x[300:]) == labels[300:]
    doubt = reader.doubt(x[300:])
    assert right.mean() > 0.7 and doubt.max() <= 0
    assert right[doubt < np.median(doubt)].mean() > right[doubt >= np.median(doubt)].mean() + 0.1


def test_a_choice_looks_at_no_label_that_it_does_not_take():
    x, labels = clouds(400, 6)
    pool = np.arange(0, 400, 2)
    chosen = by_doubt(x, labels, pool, VALUES, 60, np.random.default_rng(3))
    assert len(set(chosen)) == 60 and set(chosen) <= set(pool)
    hidden = np.where(np.isin(np.arange(400), chosen), labels, 2)
    np.testing.assert_array_equal(by_doubt(x, hidden, pool, VALUES, 60, np.random.default_rng(3)), chosen)
    assert sorted(by_doubt(x, labels, pool, VALUES, 999, np.random.default_rng(3))) == list(pool)
    doubt = learn(x[chosen[:15]], labels[chosen[:15]], VALUES).doubt(x)
    rest = np.setdiff1d(pool, chosen[:15])
    assert doubt[chosen[15:30]].min() >= np.sort(doubt[rest])[-15]


def lender(features, size=16, conditions=()):
    """A run whose method lends these features, once they are trained: its parameters are a number, 0 before."""

    def nothing(*_):
        raise NotImplementedError

    def look(params, images, keys):
        return (
            params["net"] * features(images) + (1 - params["net"]) * images[:, :2, :2].reshape(len(images), -1)[:, :3]
        )

    method = Method(lambda key: ({"net": jnp.zeros(())}, {}), (), {}, nothing, features=look, conditions=conditions)
    spec, config = Spec(size, 3, {}), {"method": "lender", "seed": 0}
    return SimpleNamespace(path="lender", method=method, params={"net": jnp.ones(())}, spec=spec, config=config)


def middle_color(images):
    return images[:, 6:10, 6:10].mean((1, 2))


def test_features_count_and_the_untrained_do_not(prepared):
    """The mean color of a picture's middle names its color; three corners' do not."""
    found = few_labels(lender(middle_color), prepared, "colour", seeds=2, steps=20)
    assert [at["n"] for at in found["labels"]] == [int(0.1 * found["photos"]), found["photos"]]  # 1 % are too few
    few, all_of_them = found["labels"]
    assert few["chance"][0] > 0.8 > few["untrained"][0] + 0.2 and few["chosen"][0] > 0.8
    assert all_of_them["chance"] == all_of_them["chosen"] and all_of_them["chance"][1] == 0
    assert set(few) == {"n", "chance", "chosen", "untrained", "pixels", "alone"}
    assert found["values"] == 4 and 0.2 < found["commonest"] < 0.4
    record = {key: {"fcd": 1.0} for key in ("samples", "floor", "ceiling")} | {"few_labels": found}
    assert in_words(record)[1].startswith(f"{few['n']} labels of colour: {few['chance'][0]:.1%} right")
    assert f"{few['pixels'][0]:.1%}" in section(record)[2] and section({}) is None


def test_features_do_not_depend_on_how_many_are_looked_at(prepared, monkeypatch):
    images, run = np.asarray(prepared.split("test").images[:40]), lender(middle_color)
    whole = features_of(run, {"some": images})
    monkeypatch.setattr(module, "BLOCK", 16)
    np.testing.assert_allclose(features_of(run, {"some": images})["some"], whole["some"], atol=1e-5)
    assert whole["some"].mean(0) == pytest.approx([0, 0, 0], abs=1e-5) and whole["some"].std(0) == pytest.approx(
        1, abs=1e-4
    )
    still = standardized({"a": np.ones((5, 2)), "b": np.full((3, 2), 4.0)})
    assert (still["a"] == 0).all() and (still["b"] == 3).all()


def test_what_cannot_be_asked_is_named(prepared, tiny, run, tmp_path, capsys):
    for spoiled, words in (
        (lender(middle_color, conditions=("colour",)), "was told colour while it learned"),
        (
            SimpleNamespace(path="x", method=Method(None, (), {}, None), config={"method": "srgan"}),
            "no network of a srgan looks at a photo alone",
        ),
    ):
        with pytest.raises(InputError, match=words):
            check_few_labels(spoiled, prepared, "colour")
    with pytest.raises(InputError, match="serial: no attribute with two values"):
        check_few_labels(lender(middle_color), prepared, "serial")
    with pytest.raises(InputError, match="lender: is for 8 px, these photos have 16 px"):
        few_labels(lender(middle_color, size=8), prepared, "colour")
    np.savez(tmp_path / "made.npz", images=np.zeros((80, 8, 8, 3), np.uint8))
    ends = ["--out", str(tmp_path / "r.json"), "--few-labels", "type"]
    assert main(["evaluate", str(tmp_path / "made.npz"), str(tiny.path), *ends]) == 2
    assert "--few-labels: " in capsys.readouterr().err
