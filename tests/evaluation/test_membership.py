"""Membership attacks: scores whose answer is known, a model that knows its photos by heart, and one that may not."""

import numpy as np
import pytest
from scipy.stats import norm

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.membership import attack_report, auc, membership_report
from prodgen_jax.training.fit import fit


def test_two_gaussians_have_the_area_of_the_closed_form():
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 4000), rng.normal(0, 1, 4000)
    area, half = auc(members, others)
    assert area == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=1.5 * half) and 0.005 < half < 0.02
    assert auc(others, members)[0] == pytest.approx(1 - area)
    found = attack_report(members, others)
    assert found["hits"] == pytest.approx(norm.sf(norm.isf(0.01) - 1), abs=0.03)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [auc(rng.normal(0.5, 1, 100), rng.normal(0, 1, 80)) for _ in range(400)]
    held = np.mean([abs(area - norm.cdf(0.5 / np.sqrt(2))) < half for area, half in found])
    assert 0.91 < held < 0.985


def test_equal_scores_are_a_coin():
    assert auc(np.ones(5), np.ones(7)) == (0.5, 0.0) and attack_report(np.ones(5), np.ones(7))["hits"] == 0


@pytest.fixture(scope="module")
def noise(noise_set):
    """64 pictures of noise: whoever codes them better than others knows them by heart."""
    return noise_set(train=64, test=64)


@pytest.mark.slow
def test_what_knows_its_photos_by_heart_is_found_and_what_learned_privately_is_not(noise, tiny_recipe, tmp_path):
    about = {"width": 16, "latent": 32, "batch": 64, "lr": 3e-3, "flip": False}
    heart = fit(tiny_recipe("vae", **about), noise, tmp_path / "heart", steps=300)
    found = membership_report(heart, noise)
    assert found["by"] == "bits" and found["photos"] == 64 and found["auc"] - found["half"] > 0.7
    hidden = fit(tiny_recipe("vae", dp_noise=2.0, **about), noise, tmp_path / "private", steps=30, seed=123_456)
    found = membership_report(hidden, noise)
    assert abs(found["auc"] - 0.5) < 1.5 * found["half"]


def test_a_gan_is_asked_by_its_samples(noise, tiny_recipe, tmp_path, monkeypatch):
    """One that knows nothing yet, and one that gives back what it saw."""
    run = fit(tiny_recipe("dcgan"), noise, tmp_path / "gan", steps=1)
    found = membership_report(run, noise)
    assert found["by"] == "nearest sample" and abs(found["auc"] - 0.5) < 1.5 * found["half"]
    seen = np.asarray(noise.split("train").images)
    monkeypatch.setattr("prodgen_jax.evaluation.membership.sample", lambda *_: (seen, None))
    assert membership_report(run, noise)["auc"] == 1


def test_few_photos_and_samples_without_a_run_are_refused(run, tiny, tmp_path, capsys):
    with pytest.raises(InputError, match="needs 50 photos in 'train' and 'test', not 8"):
        membership_report(run, tiny)
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 8, 8, 3), np.uint8))
    ends = ["--out", str(tmp_path / "r.json"), "--membership"]
    assert main(["evaluate", str(tmp_path / "x.npz"), str(tiny.path), *ends]) == 2
    assert "--membership: " in capsys.readouterr().err
