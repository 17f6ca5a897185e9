"""The models that come with the package: small, with a card, and they draw what they are asked for."""

import numpy as np
import pytest

from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.run import open_run
from prodgen_jax.training.weights import SHIPPED, SUFFIX

MODELS = sorted(SHIPPED.glob(f"*{SUFFIX}"))


def test_there_is_one():
    assert MODELS


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_it_is_small_and_has_a_card(file):
    assert file.stat().st_size <= 15e6
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert f"pretrained:{file.stem}" in card and "## Limits" in card


@pytest.mark.slow
@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_it_draws_the_color_that_it_is_asked_for(file):
    """Red leads in most colored pixels of red shirts, blue in most of blue ones, though skin is among them."""
    run = open_run(f"pretrained:{file.stem}")
    words = [f"{color} tshirt for men" for color in ("red", "blue") for _ in range(16)]
    images = sample(run, 32, seed=0, text=words)[0].astype(float)
    colored = np.ptp(images, axis=-1) > 60
    lead = [(images[..., 0] - images[..., 2])[half][colored[half]] for half in (slice(0, 16), slice(16, 32))]
    assert np.mean(lead[0] > 0) > 0.9 and np.mean(lead[1] < 0) > 0.6
