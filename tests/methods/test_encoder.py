"""An encoder from outside: any function from lines of words to vectors, in the place of the package's own."""

import numpy as np
import pytest

from prodgen_jax.data.captions import ALL, PHRASINGS, encoded, in_lines, in_ways, vocabulary
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import askable
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import export, open_run

TOLD = {"condition": ("embedding",)}


def by_color(lines: list[str]) -> np.ndarray:
    """A line as whether it says red, whether it says blue, and one number more."""
    return np.array([[2.0 * ("red" in line.lower()) - 1, 2.0 * ("blue" in line.lower()) - 1, 0.5] for line in lines])


@pytest.fixture(scope="module")
def made(two_colors, tiny_recipe, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "flow"
    return fit(tiny_recipe("flow", **TOLD), two_colors, place, steps=2, encoder=by_color)


def test_lines_say_what_captions_say(two_colors):
    split, known = two_colors.split("train"), vocabulary(two_colors)
    lines, ways = in_lines(split, two_colors.attributes), in_ways(split, two_colors.attributes, known)
    assert len(lines) == len(split) and all(len(of) == PHRASINGS for of in lines)
    for row in range(0, len(split), 7):
        for line, way in zip(lines[row], ways[row], strict=True):
            np.testing.assert_array_equal(known.encode(line), way)
    colors = [two_colors.attributes["colour"][i] for i in split.labels["colour"]]
    assert all(color in of[ALL] for color, of in zip(colors, lines, strict=True))


def test_a_run_keeps_how_long_the_vectors_are(made, two_colors, tmp_path):
    assert open_run(made.path).spec.embedding == 3 and made.method.conditions == ("embedding",)
    red, again, blue = (sample(made, 2, text=line, encoder=by_color)[0] for line in ("red", "so red", "blue"))
    np.testing.assert_array_equal(red, again)  # whose vectors are the same
    assert sample(made, 2)[0].shape == blue.shape  # nothing said
    np.testing.assert_array_equal(sample(made, 2, where={"colour": "red"}, encoder=by_color)[0], red)
    export(made, tmp_path / "flow.safetensors", "fp32")
    opened = open_run(tmp_path / "flow.safetensors")
    np.testing.assert_array_equal(sample(opened, 2, text="red", encoder=by_color)[0], red)
    assert fit(made.recipe, two_colors, made.path, steps=3, resume=True, encoder=by_color).step == 3


def test_what_cannot_be(made, two_colors, tiny_recipe, tmp_path):
    def train(encoder, **settings):
        fit(tiny_recipe("flow", **settings), two_colors, tmp_path / "run", steps=1, encoder=encoder)

    for call, said in (
        (lambda: train(None, **TOLD), "condition=embedding: hand over what makes vectors of lines"),
        (lambda: train(by_color), "encoder: this flow does not read its vectors; set condition=embedding"),
        (lambda: train(lambda lines: np.zeros(len(lines)), **TOLD), "it must make finite numbers"),
        (lambda: train(lambda lines: np.full((len(lines), 2), np.nan), **TOLD), "it must make finite numbers"),
        (lambda: sample(made, 2, text="red"), "reads lines by an encoder from outside; hand it over"),
        (lambda: sample(made, 2, text="red", encoder=lambda lines: np.zeros((len(lines), 5))), "makes 5 numbers"),
        (lambda: askable(made, two_colors), "draw with sample"),
    ):
        with pytest.raises(InputError, match=said):
            call()
    assert not (tmp_path / "run").exists()
    assert encoded(["a", "b"], lambda lines: [[1], [2]]).dtype == np.float32


@pytest.mark.long
def test_it_is_obeyed(two_colors, tiny_recipe, tmp_path, off_color):
    small = {"width": 16, "sample_steps": 8, "warmup": 10, "log_every": 50, "sheet_every": 0, "batch": 32}
    run = fit(tiny_recipe("flow", **small, **TOLD), two_colors, tmp_path / "flow", steps=300, encoder=by_color)
    for kind, color in enumerate(("red", "blue")):
        off = off_color(sample(run, 16, seed=1, text=f"something {color}", encoder=by_color)[0])
        assert (off.argmin(-1) == kind).mean() > 0.8, color
