"""A model that makes pictures of pictures is measured beside its source and the mean photo of the kind."""

import numpy as np
import pytest

from prodgen_jax.data.images import to_signed
from prodgen_jax.data.tasks import TASKS
from prodgen_jax.evaluation.runs import evaluate_run, in_words
from prodgen_jax.evaluation.translation import Pairs, mean_photos, paired_report, translated
from prodgen_jax.training.fit import fit


def test_mean_photos(prepared):
    split, means = prepared.split("train"), mean_photos(prepared, "colour")
    images, labels = np.asarray(split.images[:], float), split.labels["colour"]
    for value in range(4):
        assert np.abs(means[value] - images[labels == value].mean(0)).max() <= 0.51
    assert np.abs(means[-1] - images.mean(0)).max() <= 0.51
    assert mean_photos(prepared, "").shape == (1, 16, 16, 3)


def test_the_right_picture_scores_best_and_baselines_as_they_are(prepared, network):
    rows = np.arange(100)
    photos = np.asarray(prepared.split("test").images[:100])
    grey = ((np.asarray(TASKS["grey"](to_signed(photos))) + 1) * 127.5).round().astype(np.uint8)
    found = paired_report(Pairs(rows, photos, grey, photos, {}), prepared, "test", network)
    assert found["kind"] == "shape" and found["n"] == 100  # not what has more values, but is a color
    assert (
        found["made"]["psnr_db"] == pytest.approx(58.92, abs=0.01)
        and found["made"]["fcd"] < 1e-3
        and found["made"]["color_error"] == 0
    )
    for who in ("source", "mean"):
        assert found[who]["psnr_db"] < 40 and found[who]["fcd"] > 1 and found[who]["color_error"] > 1
    assert found["source"]["ssim"] > found["mean"]["ssim"]  # a grey picture has the right shape


@pytest.mark.slow
def test_a_run_is_measured_on_held_out_photos(prepared, network, tiny_recipe, tmp_path):
    run = fit(tiny_recipe("pix2pix", adversarial=0), prepared, tmp_path / "run", steps=3)
    record, images = evaluate_run(run, prepared, n=150, network=network)
    assert len(images) == 150 == record["paired"]["n"] and record["n"]["given"] == 150
    assert record["paired"]["source"]["psnr_db"] > 0 and "control" not in record and "lanczos" not in record["paired"]
    assert any(line.startswith("PSNR") for line in in_words(record))


@pytest.mark.slow
def test_enlarged_pictures_stand_beside_lanczos(prepared, network, tiny_recipe, tmp_path):
    """Which is nearly bicubic: both are far nearer to the photo than its mean photo is."""
    run = fit(tiny_recipe("srgan", perceptual=0, adversarial=0), prepared, tmp_path / "run", steps=1)
    found = paired_report(translated(run, prepared, "test", 100, 0), prepared, "test", network)
    assert found["lanczos"]["psnr_db"] == pytest.approx(found["source"]["psnr_db"], abs=1.5)
    assert found["lanczos"]["psnr_db"] != found["source"]["psnr_db"]
    assert found["lanczos"]["psnr_db"] > found["mean"]["psnr_db"] + 2
