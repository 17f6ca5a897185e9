"""Text to image in two stages: whose turn it is, what the decoder is told, and that words are drawn and found."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from prodgen_jax.cli import main
from prodgen_jax.data.captions import told
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.retrieval import embed, found, recall_at
from prodgen_jax.methods import Spec
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.core import due
from prodgen_jax.methods.unclip import Prior, UnCLIPSettings, unclip
from prodgen_jax.sampling.sample import read, sample
from prodgen_jax.training.fit import fit, fresh
from prodgen_jax.training.start import begun_from

SPEC = Spec(8, 3, {"colour": 2}, words=9)
COLORS = ("red", "blue")


@pytest.fixture(scope="module")
def made(two_colors, tiny_recipe, tmp_path_factory):
    small = {"width": 16, "first_stage": 100, "sample_steps": 8, "warmup": 10, "log_every": 50, "sheet_every": 0}
    return fit(tiny_recipe("unclip", **small), two_colors, tmp_path_factory.mktemp("runs") / "unclip", steps=400)


def test_the_towers_play_first_and_then_stay():
    small = {"first_stage": 2, "multipliers": (1,), "attend": (0,)}
    method = unclip(UnCLIPSettings(**small), SPEC)
    assert [turn.trains for turn in method.turns] == ["towers", "prior", "unet"]
    assert [due(method, step) for step in (1, 2)] == [(True, False, False), (False, True, True)]
    assert set(method.ema) == {"prior", "unet"} and method.conditions == ("text",)


def test_guidance_of_the_prior_goes_on_from_nothing_said_through_the_line():
    """One step of a flow is its estimate, so the draws lie on a line in the scale."""
    keys, line = jax.random.split(jax.random.key(0), 3), jax.random.normal(jax.random.key(1), (3, 8))
    said = jnp.array([True, True, False])

    def drawn(scale, said):
        small = {"sample_steps": 1, "embedding": 8, "prior_width": 8, "prior_depth": 1}
        prior = Prior(UnCLIPSettings(**small, prior_guidance=scale))
        net = nnx.state(prior.build(jax.random.key(2)), nnx.Param)
        leaves, tree = jax.tree.flatten(net)
        moved = [
            x + 0.1 * jax.random.normal(jax.random.fold_in(jax.random.key(3), i), x.shape) for i, x in enumerate(leaves)
        ]
        return prior.draw({"prior": jax.tree.unflatten(tree, moved)}, keys, line, said)

    asked, nothing = drawn(1.0, said), drawn(1.0, jnp.zeros(3, bool))
    assert float(jnp.abs(asked - nothing)[:2].min()) > 1e-6
    np.testing.assert_allclose(drawn(3.0, said), nothing + 3 * (asked - nothing), atol=1e-5)
    np.testing.assert_array_equal(drawn(3.0, said)[2], nothing[2])


@pytest.mark.long
def test_words_are_drawn(made, off_color):
    for kind, color in enumerate(COLORS):
        off = off_color(sample(made, 16, seed=1, text=f"something {color}")[0])
        assert (off.argmin(-1) == kind).mean() > 0.8 and off.min(-1).mean() < 60, color
    free = off_color(sample(made, 48, seed=2)[0])
    assert np.bincount(free.argmin(-1), minlength=2).min() > 8


@pytest.mark.long
def test_without_the_prior_the_decoder_is_told_something_else(made):
    with_prior, without = (sample(made, 4, text="red", settings={"prior": on})[0] for on in ("true", "false"))
    assert not np.array_equal(with_prior, without)


@pytest.mark.long
def test_words_and_pictures_are_found(made, two_colors):
    split = told(two_colors, "train", ("text",))
    colors = split.labels["colour"]
    for kind, color in enumerate(COLORS):
        places, cosines = found(made, split.images, read(made, [color])[0], 10)
        assert (colors[places] == kind).all() and (np.diff(cosines) <= 0).all()
        by_picture, _ = found(made, split.images, np.asarray(split.images[places[0]]), 10)
        assert by_picture[0] == places[0] and (colors[by_picture] == kind).all()
    shown, lines = embed(made, split.images[:64]), embed(made, split.labels["text"][:64])
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), 1, atol=1e-5)
    chance = recall_at(np.random.default_rng(0).normal(size=shown.shape), shown, (16,))[16]
    assert recall_at(lines, shown, (16,))[16] > 1.5 * chance  # a color is told, no more


@pytest.mark.long
def test_command(made, two_colors, tmp_path, capsys):
    """The nearest of a set, by words and by a picture; what cannot be found by is said in one line."""
    sheet = tmp_path / "found.png"
    find = ["find", str(made.path), str(two_colors.path)]
    assert main([*find, "--text", "red", "-n", "4", "--out", str(sheet), "--split", "train"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5 and all("train-" in line for line in said[:4]) and Image.open(sheet).size == (17, 17)
    assert main([*find, "--picture", str(sheet), "-n", "3"]) == 0
    capsys.readouterr()
    for wrong, said in ((["--text", "red", "-n", "99"], "k=99: must be 1 to 32"), (["--text", "blorb"], "blorb")):
        assert main([*find, *wrong]) == 2 and said in capsys.readouterr().err


@pytest.mark.long
def test_words_keep_their_rows_on_another_catalogue(made):
    """A word that is new begins as the unknown one, in the tower as in a denoiser."""
    words = [*reversed(made.config["words"][1:]), "green"]
    config = {**made.config, "words": [made.config["words"][0], *words]}
    method = made.recipe.build(replace(made.spec, words=len(config["words"])))
    begun = begun_from(fresh(method, 1), made, config)
    table = "line.text.table.embedding"
    old, new = (named(params["towers"])[table] for params in (made.params, begun.params))
    for row, word in enumerate(config["words"]):
        np.testing.assert_array_equal(new[row + 1], old[made.vocabulary.numbers.get(word, 0) + 1])


@pytest.mark.parametrize(
    ("more", "spec", "said"),
    [
        ({"condition": ("colour",)}, SPEC, "condition=colour: an unclip is told text alone"),
        ({"task": "grey"}, SPEC, "task=grey: an unclip begins from words"),
        ({"first_stage": -1}, SPEC, "first_stage=-1: must be 0 or more"),
        ({"prior_guidance": -1.0}, SPEC, "prior_guidance=-1.0: must be a number from 0 on"),
        ({}, Spec(8), "this set has no words to read"),
        ({"multipliers": (1,)}, Spec(12, 3, {}, 5), "12 px are not a multiple of 8"),
    ],
)
def test_what_cannot_be(more, spec, said):
    with pytest.raises(InputError, match=said):
        unclip(UnCLIPSettings(**{"multipliers": (1,), "attend": (0,), **more}), spec)
