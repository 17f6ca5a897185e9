"""Runs that begin from another: the same pictures at first, tables carried over value by value, and what is refused."""

import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import LORA, named
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import export, open_run
from prodgen_jax.training.start import begun_with, carried

SMALL = {"network": "dit", "dit_width": 16, "dit_depth": 1, "dit_heads": 2, "text_width": 32, "text_depth": 1}
TINY_STEP = {"lr": 1e-12, "sheet_every": 0}  # so that what was begun from is still to be seen after a step


@pytest.fixture(scope="module")
def first(tiny, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("ddpm", condition="type,text", **SMALL)
    return fit(made, tiny, tmp_path_factory.mktemp("runs") / "first", steps=3)


@pytest.fixture(scope="module")
def other_set(write, tmp_path_factory):
    """Other values of the same attributes, in another order, and one attribute more."""
    rng = np.random.default_rng(1)
    attributes = {"type": ("hat", "bag", "shirt"), "colour": ("blue", "green", "red"), "season": ("summer", "winter")}

    def part(n):
        labels = {name: rng.integers(0, len(values), n) for name, values in attributes.items()}
        return rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8), labels

    splits = {"train": part(24), "validation": part(4), "test": part(4)}
    return write(tmp_path_factory.mktemp("other") / "set", splits, attributes)


def test_carried():
    table = np.arange(8.0).reshape(4, 2)  # nothing said, a, b, c
    found = carried(table, ["a", "b", "c"], ["c", "x", "a"], other=0)
    np.testing.assert_array_equal(found, table[[0, 3, 0, 1]])


@pytest.mark.parametrize("adapt", ["lora"])
def test_it_begins_where_the_other_ended(first, tiny, tiny_recipe, tmp_path, adapt):
    made = tiny_recipe("ddpm", condition="type,text", **{**SMALL, "adapt": adapt, "rank": 1, **TINY_STEP})
    run = fit(made, tiny, tmp_path / "run", steps=1, start=first)
    assert run.config["start"] == str(first.path)
    pictures = [sample(r, 4, seed=3, where={"type": "bag"})[0].astype(int) for r in (first, run)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 2
    assert any(group.endswith(LORA) for group in run.params) == (adapt == "lora")


def test_values_keep_their_rows_on_another_catalogue(first, other_set, tiny_recipe, tmp_path):
    made = tiny_recipe("ddpm", **{**begun_with(first, "ddpm"), "condition": "type,season,text", **TINY_STEP})
    run = fit(made, other_set, tmp_path / "run", steps=1, start=first)
    old, new = named(first.params["dit"]), named(run.params["dit"])
    types = [n for n in old if ".type." in n][0]
    for value in ("bag", "shirt"):
        rows = [table[types][r.attributes["type"].index(value) + 1] for r, table in ((first, old), (run, new))]
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    np.testing.assert_allclose(new[types][1], old[types][0], atol=1e-6)  # a hat is new: nothing said
    known = first.vocabulary.words
    assert run.vocabulary.words[: len(known)] == known and "hat" in run.vocabulary.words[len(known) :]
    words = [n for n in old if n.endswith("text.table.embedding")][0]
    for word in ("bag", "red", "hat"):
        was = old[words][first.vocabulary.numbers.get(word, 0) + 1]
        np.testing.assert_allclose(new[words][run.vocabulary.numbers[word] + 1], was, atol=1e-6)


def test_what_adapters_learned_is_carried_on(first, tiny, tiny_recipe, tmp_path):
    settings = {"condition": "type,text", **SMALL, "sheet_every": 0}
    low = fit(tiny_recipe("ddpm", adapt="lora", lr=0.05, **settings), tiny, tmp_path / "low", steps=5, start=first)
    on = fit(tiny_recipe("ddpm", **{**settings, **TINY_STEP}), tiny, tmp_path / "on", steps=1, start=low)
    pictures = [sample(r, 4, seed=3)[0].astype(int) for r in (first, low, on)]
    assert np.abs(pictures[1] - pictures[2]).max() <= 2 < np.abs(pictures[0] - pictures[1]).max()


def test_command(first, tiny, tmp_path, capsys):
    """The other run's method settings hold, a file will do, and a resumed run must begin from the same."""
    file, out = tmp_path / "m.safetensors", tmp_path / "run"
    export(first, file, "fp32")
    command = ["train", "ddpm", str(tiny.path), "--out", str(out), "--set", "batch=16", "--set", "sheet_images=4"]
    begin = [*command, "--from", str(file), "--set", "adapt=lora"]
    assert main([*begin, "--steps", "1"]) == 0
    assert open_run(out).recipe.method == first.recipe.method and open_run(out).recipe.adapt.adapt == "lora"
    assert main([*begin, "--steps", "2", "--resume"]) == 0 and open_run(out).step == 2
    again = [*command, "--from", str(first.path), "--set", "adapt=lora", "--steps", "3", "--resume"]
    assert main(again) == 2 and "start:" in capsys.readouterr().err


def test_what_is_refused(first, run, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="a vae, and a ddpm is to be trained"):
        fit(tiny_recipe("ddpm"), tiny, tmp_path / "a", steps=1, start=run)
    with pytest.raises(InputError, match="has no 'unet'; both need the same network"):
        fit(tiny_recipe("ddpm", condition="type,text"), tiny, tmp_path / "b", steps=1, start=first)
    wider = {**SMALL, "dit_width": 32}
    with pytest.raises(InputError, match="both need the same network .width, multipliers, blocks"):
        fit(tiny_recipe("ddpm", condition="type,text", **wider), tiny, tmp_path / "c", steps=1, start=first)
