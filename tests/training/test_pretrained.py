"""The models that come with the package: small, with a card, and each does what it is there for."""

import numpy as np
import pytest

from prodgen_jax.data.captions import TEXT
from prodgen_jax.data.demo.shop import draw, rows
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.styles import draw_style
from prodgen_jax.data.tasks import ENLARGED
from prodgen_jax.evaluation.paired import psnr
from prodgen_jax.methods.core import EXTRA
from prodgen_jax.methods.vqvae import Networks, book_of, nearest
from prodgen_jax.sampling.sample import sample
from prodgen_jax.sampling.style import stylize
from prodgen_jax.sampling.translate import enlarges, translate
from prodgen_jax.training.run import open_run
from prodgen_jax.training.weights import SHIPPED, SUFFIX

MODELS = sorted(SHIPPED.glob(f"*{SUFFIX}"))


def test_there_is_one_of_each_kind():
    found = [open_run(f"pretrained:{file.stem}") for file in MODELS]
    assert any(TEXT in run.method.conditions for run in found) and any(run.method.style for run in found)
    assert any(enlarges(run) in ENLARGED for run in found if run.method.source and not run.method.style)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_it_is_small_and_has_a_card(file):
    assert file.stat().st_size <= 15e6
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert f"pretrained:{file.stem}" in card and "## Limits" in card


@pytest.mark.slow
@pytest.mark.parametrize("name", [file.stem for file in MODELS if TEXT in open_run(file).method.conditions])
def test_it_draws_the_color_that_it_is_asked_for(name):
    """Red leads in most colored pixels of red shirts, blue in most of blue ones, though skin is among them."""
    run = open_run(f"pretrained:{name}")
    words = [f"{color} tshirt for men" for color in ("red", "blue") for _ in range(16)]
    images = sample(run, 32, seed=0, text=words)[0].astype(float)
    colored = np.ptp(images, axis=-1) > 60
    lead = [(images[..., 0] - images[..., 2])[half][colored[half]] for half in (slice(0, 16), slice(16, 32))]
    assert np.mean(lead[0] > 0) > 0.9 and np.mean(lead[1] < 0) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stylegan32", "cvae32", "latent32"])
def test_a_color_that_is_said_is_drawn(name):
    """Red shirts are redder than blue ones by more than skin, and blue ones bluer than gray."""
    run = open_run(f"pretrained:{name}")
    wishes = [{"articleType": "Tshirts", "baseColour": color} for color in ("Red", "Blue")]
    red, blue = (sample(run, 32, seed=0, where=wish)[0].astype(float) for wish in wishes)
    assert (red[..., 0] - red[..., 2]).mean() > 10 and (blue[..., 0] - blue[..., 2]).mean() < -2


@pytest.mark.slow
def test_a_photo_survives_as_64_codes():
    """Of another shop's goods; and what its prior writes is goods on white, one unlike the other."""
    run = open_run("pretrained:vqvae32")
    nets, book = Networks(run.recipe.method, run.spec, {}), book_of(run.params[EXTRA])
    goods = np.stack([draw(row, 32) for row in rows(32, seed=4)])
    codes = nearest(nets.encode(run.params, to_signed(goods)), book)
    again = to_uint8(np.asarray(nets.decode(run.params, book[codes])[0]))
    assert codes.shape == (32, 64) and psnr(again, goods).mean() > 20
    written = sample(run, 32, seed=0)[0].astype(float)
    assert written[:, 0].mean() > 235 and np.abs(written[::2] - written[1::2]).mean() > 15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["half32", "srgan64"])
def test_it_makes_more_of_what_it_is_given(name):
    """Of another shop's goods than it learned from, and nearer to the photo than what it was given."""
    run = open_run(f"pretrained:{name}")
    goods = np.stack([draw(row, run.spec.size) for row in rows(32, seed=4)])
    given, made = translate(run, list(goods))
    assert psnr(made, goods).mean() > psnr(given, goods).mean() + 1


@pytest.mark.slow
def test_dark_shirts_become_light_and_light_ones_dark():
    """Of another shop than it learned from."""
    run = open_run("pretrained:shirts32")
    for color, back in (("black", False), ("white", True)):
        shirts = [draw({**row, "type": "t-shirt", "color": color}, 32) for row in rows(16, seed=4)]
        _, made = translate(run, shirts, settings={"back": back})
        change = made.mean() - np.stack(shirts).mean()
        assert change < -8 if back else change > 8


@pytest.mark.slow
def test_a_product_takes_on_the_colors_of_a_style():
    """Red goods in denim are blue, and the other way round in red and white dots."""
    run = open_run("pretrained:style64")
    goods = [draw({**row, "color": "red"}, 64) for row in rows(8, seed=4)]
    for style in ("denim", "polka"):
        wanted = draw_style(style, 64).mean((0, 1))
        made = np.stack(stylize(run, goods, {style: 1}, strength=1.0)).mean((0, 1, 2))
        assert np.abs(made - wanted).max() < 0.6 * np.abs(np.stack(goods).mean((0, 1, 2)) - wanted).max()


@pytest.mark.slow
def test_truncation_is_a_dial_of_variety():
    """Goods on white, all of them different; the nearer their styles are to the mean, the more alike."""
    run, variety = open_run("pretrained:stylegan32"), []
    for share in (1.0, 0.7, 0.4, 0.0):
        images = sample(run, 64, seed=0, settings={"truncation": share})[0].astype(float)
        assert images[:, 0].mean() > 235
        variety.append(np.abs(images[::2] - images[1::2]).mean())
    assert variety == sorted(variety, reverse=True) and variety[0] > 20 and variety[-1] < 5
