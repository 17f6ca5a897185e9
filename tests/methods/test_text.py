"""A model that reads: what is said is drawn, what is not known is passed over, and it is measured by its words."""

from dataclasses import replace

import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import as_in_training, askable, spoken
from prodgen_jax.sampling.sample import conditions, sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run

COLORS = {"red": (200, 20, 20), "blue": (20, 20, 200)}
SETTINGS = {"multipliers": (1,), "attend": (0,), "sample_steps": 8, "warmup": 10, "text_width": 32, "text_depth": 1}


def mean_of(kind, color):
    """Mean color of a shirt (0) or a shoe (1)."""
    return np.array(COLORS[color]) * (0.35 if kind else 1.0) + (255 * 0.65 if kind else 0)


@pytest.fixture(scope="module")
def painted(write, tmp_path_factory):
    """Plain pictures: a shirt is as strong in color as can be, a shoe is pale."""
    rng = np.random.default_rng(0)

    def part(n):
        kinds, colors = rng.integers(0, 2, n), rng.integers(0, 2, n)
        means = np.stack([mean_of(*pair) for pair in zip(kinds, np.array(list(COLORS))[colors], strict=True)])
        images = means[:, None, None] + rng.integers(-8, 9, (n, 8, 8, 3))
        return images.clip(0, 255).astype(np.uint8), {"type": kinds, "colour": colors}

    splits = {"train": part(400), "validation": part(16), "test": part(16)}
    attributes = {"type": ("shirts", "shoes"), "colour": tuple(COLORS)}
    return write(tmp_path_factory.mktemp("painted") / "set", splits, attributes)


@pytest.fixture(scope="module")
def reader(painted, tiny_recipe, tmp_path_factory):
    small = {"dit_width": 64, "dit_depth": 2, "dit_heads": 2, "lr": 3e-3, "width": 16, "log_every": 50, "batch": 32}
    made = tiny_recipe("edm", condition="text", network="dit", **{**SETTINGS, **small, "sheet_every": 0})
    return fit(made, painted, tmp_path_factory.mktemp("runs") / "reader", steps=300)


@pytest.mark.slow
def test_what_is_said_is_drawn(reader):
    for kind, product in enumerate(("shirt", "shoe")):
        for color in COLORS:
            for text in (f"{color} {product}", f"A {product.upper()} in {color}, blorb"):
                mean = sample(reader, 16, seed=1, text=text)[0].mean((0, 1, 2))
                assert np.abs(mean - mean_of(kind, color)).max() < 55, (text, mean)


@pytest.mark.slow
def test_half_a_wish_leaves_the_rest_open(reader):
    means = sample(reader, 48, seed=2, text="red")[0].astype(float).mean((1, 2))
    near = [(np.abs(means - mean_of(kind, "red")).max(1) < 60).sum() for kind in (0, 1)]
    assert sum(near) > 40 and min(near) > 4, near


def test_it_may_be_asked_by_attributes_too(reader):
    asked = conditions(reader, {"type": "shoes", "colour": "red"}, 2)
    np.testing.assert_array_equal(asked["text"], conditions(reader, {}, 2, "Shoes, red")["text"])
    both = conditions(reader, {"type": "shoes"}, 1, "blue")["text"]
    np.testing.assert_array_equal(both, conditions(reader, {}, 1, "shoe blue")["text"])


def test_evaluation_asks_in_words(reader, painted):
    asked = as_in_training(reader, painted, 5, seed=0)
    assert askable(reader, painted) == list(asked) == ["type", "colour"]
    told = spoken(reader, painted, asked)
    assert list(told) == ["text"] and told["text"].shape[0] == 5
    first = [reader.vocabulary.words[i] for i in told["text"][0] if i >= 0]
    assert first == [("shirt", "shoe")[asked["type"][0]], ("red", "blue")[asked["colour"][0]]]


def test_another_catalogue_is_asked_for_by_its_own_attributes(reader, tiny):
    """Its values may stand in other places than the run's own."""
    other = replace(tiny, attributes={"colour": ("blue", "red"), "hue": ("red",)})
    assert askable(reader, other) == ["colour", "hue"]
    told = spoken(reader, other, {"colour": np.array([0, 1])})["text"]
    assert [reader.vocabulary.words[row[0]] for row in told] == ["blue", "red"]


def test_what_is_refused(reader, run, tmp_path, capsys):
    with pytest.raises(InputError, match="no word of it stands in the catalogue's names; it knows .*blue"):
        sample(reader, 1, text="blorb")
    with pytest.raises(InputError, match="this run reads no text; train one with --set condition=text"):
        sample(run, 1, text="red")
    with pytest.raises(InputError, match="--where colour=green: known values are red, blue"):
        sample(reader, 1, where={"colour": "green"})
    out = tmp_path / "x.npz"
    assert main(["sample", str(reader.path), "-n", "2", "--text", "red blorb", "--out", str(out)]) == 0
    assert "passed over: blorb" in capsys.readouterr().err
    with np.load(out) as file:
        assert file["text"].tolist() == ["red blorb"] * 2


def test_a_run_knows_its_words_again(reader):
    again = open_run(reader.path)
    assert again.vocabulary == reader.vocabulary and again.config["words"][0] == "<unknown>"
    assert again.spec.words == len(again.vocabulary.words)
