"""A model is replaced by one that is no worse; what is bad is never promoted, and nothing is lost."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.data.prepared import SPLITS, PreparedSet, open_prepared, write_meta, write_split
from prodgen_jax.deploy import retrain as door
from prodgen_jax.deploy.gates import Gates
from prodgen_jax.deploy.retrain import retrain
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run

NEW, HELD = 300, 100  # new products, and how many of them are held out


@pytest.fixture(scope="module")
def judge(prepared):
    return control_network(prepared, steps=60)


@pytest.fixture(scope="module")
def model(prepared, tiny_recipe, tmp_path_factory):
    """A VAE that draws the known shapes, more or less."""
    return fit(tiny_recipe("vae", latent=8, batch=64), prepared, tmp_path_factory.mktemp("line") / "first", steps=300)


@pytest.fixture
def grown(prepared, tmp_path):
    """grown(images, labels, name): the known products and new ones, the last of which are held out."""

    def grow(images, labels, name="grown"):
        digest, counts = hashlib.sha256(), {}
        new = {"train": slice(0, -HELD), "validation": slice(0, 0), "test": slice(-HELD, None)}
        for which in SPLITS:
            old, part = prepared.split(which), new[which]
            both = np.concatenate([old.images, images[part]])
            columns = {key: np.concatenate([column, labels[key][part]]) for key, column in old.labels.items()}
            ids = [*old.ids, *[f"new-{i}" for i in range(len(images))][part]]
            empty, counts[which] = [""] * len(ids), len(ids)
            write_split(tmp_path / name / which, both, np.arange(len(ids)), columns, ids, empty, empty, digest)
        grown = PreparedSet(tmp_path / name, prepared.size, prepared.attributes, counts, digest.hexdigest(), {})
        write_meta(grown, {"source": "grown", "seed": 0})
        return open_prepared(grown.path)

    return grow


@pytest.fixture
def ways(prepared, network, judge, model):
    """What every attempt is told."""
    seen = {"network": network, "judge": judge, "gates": Gates(samples=400)}
    return {"steps": 30, "start": model, "before": prepared, **seen}


@pytest.fixture
def goods(draw_shapes):
    """New products: (photos, labels)."""
    return draw_shapes(NEW, np.random.default_rng(5))


def current(line):
    return (line / "current").resolve()


def test_a_model_that_is_no_worse_takes_the_place(goods, grown, ways, model, tmp_path):
    line, after = tmp_path / "line", grown(*goods)
    verdict = retrain(line, after, **ways)
    assert verdict["promoted"] and verdict["new"] == NEW and verdict["looks"]["strange"] < 0.1
    assert all(0.8 < at["ratio"] < 1.2 for at in verdict["labels"].values()) and len(verdict["labels"]) == 2
    assert all(at["candidate"] <= at["allowed"] for at in verdict["scores"].values())
    assert current(line) == line / "0001" / "run"
    assert json.loads((line / "0001" / "verdict.json").read_text()) == verdict
    run = open_run(line / "current")
    assert run.config["fingerprint"] == after.fingerprint and run.config["start"] == str(model.path)

    again = {**ways, "start": None, "before": None}  # the line knows its model and its set by now
    assert retrain(line, after, **again)["why"].startswith("0 new products")
    assert current(line) == line / "0001" / "run"


def noise(images, labels, rng):
    return rng.integers(0, 256, images.shape, dtype=np.uint8), labels


def shuffled(images, labels, rng):
    return images, {**labels, "colour": (labels["colour"] + rng.integers(1, 4, NEW)) % 4}


def few(images, labels, rng):
    return images[:60], {name: column[:60] for name, column in labels.items()}


BAD = {noise: "are like no known photo", shuffled: "'colour' of new products is read", few: "60 new products"}


@pytest.mark.parametrize(("bad", "why"), BAD.items())
def test_bad_data_is_never_learned_from(bad, why, goods, grown, ways, model, tmp_path):
    line = tmp_path / "line"
    verdict = retrain(line, grown(*bad(*goods, np.random.default_rng(1))), **ways)
    assert not verdict["promoted"] and why in verdict["why"]
    assert current(line) == model.path.resolve() and not (line / "0001" / "run").exists()


def test_a_model_that_has_forgotten_is_not_promoted(goods, grown, ways, model, tmp_path, monkeypatch):
    def forget(made, prepared, out, **how):
        return fit(made, prepared, out, steps=1, seed=how["seed"])

    monkeypatch.setattr(door, "fit", forget)
    verdict = retrain(tmp_path / "line", grown(*goods), **ways)
    assert not verdict["promoted"] and "held-out photos of the known set" in verdict["why"]
    assert current(tmp_path / "line") == model.path.resolve()


def test_a_training_that_ends_in_no_number_is_not_promoted(goods, grown, ways, model, tmp_path, monkeypatch):
    def diverge(made, prepared, out, **how):
        return fit(replace(made, method=replace(made.method, lr=1e30)), prepared, out, **how)

    monkeypatch.setattr(door, "fit", diverge)
    verdict = retrain(tmp_path / "line", grown(*goods), **ways)
    assert not verdict["promoted"] and verdict["why"].startswith("its training ended: ")
    assert json.loads((tmp_path / "line" / "0001" / "verdict.json").read_text()) == verdict
    assert current(tmp_path / "line") == model.path.resolve()


def test_an_attempt_that_was_interrupted_goes_on(goods, grown, ways, model, tmp_path, monkeypatch):
    line, after, whole = tmp_path / "line", grown(*goods), fit

    def stopped(made, prepared, out, **how):
        whole(made, prepared, out, **{**how, "steps": 10})
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        retrain(line, after, **ways)
    assert current(line) == model.path.resolve() and not (line / "0001" / "verdict.json").exists()
    monkeypatch.setattr(door, "fit", whole)
    retrain(line, after, **{**ways, "start": None})
    assert open_run(line / "0001" / "run").step == 30 and not (line / "0002").exists()


def test_what_does_not_go_together(goods, grown, ways, tiny, tmp_path):
    after, line = grown(*goods), tmp_path / "line"
    for changed, named in (
        ({"start": None}, "no such line; begin it with a model"),
        ({"before": after}, "is not the set that .* learned from"),
    ):
        with pytest.raises(InputError, match=named):
            retrain(line, after, **{**ways, **changed})
    with pytest.raises(InputError, match="8 px, the model's set of 16 px"):
        retrain(line, tiny, **ways)
    with pytest.raises(InputError, match="has a model already; leave --from out"):
        retrain(line, after, **ways)
    (line / "line.json").write_text("{")
    with pytest.raises(InputError, match="line.json: damaged .*--before"):
        retrain(line, after, **{**ways, "start": None, "before": None})


def test_the_command(goods, grown, model, prepared, network, judge, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(door, "feature_network", lambda _: network)
    monkeypatch.setattr(door, "control_network", lambda _: judge)
    after, line = grown(*goods), tmp_path / "line"
    command = ["retrain", line, after.path, "--from", model.path, "--before", prepared.path, "--steps", 5]
    assert main([str(part) for part in (*command, "--gate", "samples=100", "--gate", "least=1000")]) == 0
    assert f"{line}: not promoted: 300 new products, 1000 are needed" in capsys.readouterr().out
    for options, named in (
        (("--gate", "height=3"), "--gate height: not known; the gates are least, strange"),
        (("--gate", "least=some"), "--gate least=some: no number"),
        (("--steps", "0"), "steps=0"),
    ):
        assert main([str(part) for part in (*command, *options)]) == 2
        assert named in capsys.readouterr().err
