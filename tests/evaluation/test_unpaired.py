"""A model without pairs is measured by what the second network reads: one that does it, and one that does nothing."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.page import page
from prodgen_jax.evaluation.runs import evaluate_run, in_words
from prodgen_jax.evaluation.unpaired import photos_of, unpaired_lines, unpaired_report
from prodgen_jax.methods.core import SOURCE
from prodgen_jax.sampling.edit import open_photo
from prodgen_jax.sampling.translate import translate, upscale
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.fit import fit

RED, BLUE = {"colour": "red"}, {"colour": "blue"}


@pytest.fixture(scope="module")
def judge(prepared):
    return feature_network(prepared, steps=120, seed=1, half=1, width=24, features=96)


def maker(change):
    """A run both ways of which are `change`, a function of pictures in [-1, 1]."""
    method = SimpleNamespace(sample=lambda params, keys, cond: change(cond[SOURCE]), domains=(RED, BLUE))
    return SimpleNamespace(path="maker", method=method, params={}, sampling_with=lambda settings: method)


def test_swapped_channels_reach_the_color_and_keep_the_shape(prepared, judge, network):
    found = unpaired_report(maker(lambda x: x[..., ::-1]), prepared, judge, network, 0)["there"]
    assert (found["from"], found["to"]) == (RED, BLUE)
    reached, kept = found["reached"]["colour"], found["kept"]["shape"]
    assert reached["made"] > 0.9 > reached["source"] + 0.5 and reached["real"] > 0.9
    assert kept["made"] > 0.8 and abs(kept["made"] - kept["source"]) < 0.15 and "shape" not in found["reached"]
    assert found["cycle"]["psnr_db"] > 55 and found["kid"]["made"] < found["kid"]["source"] / 3
    low, high = reached["interval"]
    assert low < reached["made"] <= high


def test_doing_nothing_reaches_nothing_and_grey_keeps_nothing(prepared, judge, network):
    same = unpaired_report(maker(lambda x: x), prepared, judge, network, 0)["there"]
    assert same["reached"]["colour"]["made"] == same["reached"]["colour"]["source"] < 0.1
    assert same["kid"]["made"] == pytest.approx(same["kid"]["source"])
    grey = unpaired_report(maker(jnp.zeros_like), prepared, judge, network, 0)["there"]
    assert grey["kept"]["shape"]["made"] < 0.7 < grey["kept"]["shape"]["source"] and grey["cycle"]["psnr_db"] < 20


def test_photos_are_the_domains_and_none_was_trained_on(prepared):
    images, labels = photos_of(RED, prepared, ["validation", "test"])
    assert (labels["colour"] == prepared.attributes["colour"].index("red")).all() and len(images) == len(
        labels["shape"]
    )
    held = np.concatenate([np.asarray(prepared.split(name).images[:]) for name in ("validation", "test")])
    assert {image.tobytes() for image in images} <= {image.tobytes() for image in held}


@pytest.fixture(scope="module")
def trained(prepared, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("cyclegan", sheet_images=8, width=8)
    return fit(made, prepared, tmp_path_factory.mktemp("runs") / "cyclegan", steps=2)


@pytest.mark.slow
def test_a_run_has_a_record_of_its_own(trained, prepared, judge, network):
    record, images = evaluate_run(trained, prepared, name="both", network=network, judge=judge)
    assert len(images) == 0 and "samples" not in record and record["unpaired"]["back"]["to"] == RED
    assert in_words(record) == unpaired_lines(record["unpaired"]) and len(in_words(record)) == 10
    with pytest.raises(InputError, match="both: learned without pairs"):
        page(record, images, prepared)


def test_another_size_is_refused(trained, tiny):
    with pytest.raises(InputError, match="is for 16 px, .* has pictures of 8 px"):
        evaluate_run(trained, tiny)


def test_options_of_samples_are_refused(trained, prepared, network, judge):
    with pytest.raises(InputError, match="category=shape: of samples, .* learned without pairs"):
        evaluate_run(trained, prepared, network=network, judge=judge, category="shape")


@pytest.mark.slow
def test_there_and_back_at_the_door(trained, prepared, tmp_path, capsys):
    split = prepared.split("validation")
    photo = np.asarray(split.images[np.flatnonzero(split.labels["colour"] == 0)[0]])
    sheet = np.asarray(open_photo(trained.path / "samples" / "0000002.png"))
    assert sheet.shape[1] == 2 * 17 - 1 and (sheet[:16, :16] == photo).all()  # of the first domain; twice across
    from PIL import Image

    Image.fromarray(photo).save(tmp_path / "p.png")
    made = {}
    for back in ("false", "true"):
        out = tmp_path / back
        assert (
            main(["translate", str(trained.path), str(tmp_path / "p.png"), "--set", f"back={back}", "--out", str(out)])
            == 0
        )
        made[back] = np.asarray(open_photo(out / "p.png"))
    assert (made["true"] != made["false"]).any() and np.abs(
        made["false"] - to_signed(photo) * 127.5 - 127.5
    ).mean() < 20
    assert main(["translate", str(trained.path), str(tmp_path / "p.png"), "--set", "cycle=1", "--out", str(out)]) == 2
    assert "setting 'cycle' cannot be changed after training" in capsys.readouterr().err
    with pytest.raises(InputError, match="is for other things"):
        upscale(trained, photo[None, ::2, ::2])
    with pytest.raises(InputError, match="no photo to translate"):
        translate(trained, [])


def test_domains_at_the_door(tiny, tmp_path, capsys):
    out = str(tmp_path / "run")
    small = [f"--set={key}" for key in ("width=8", "critic_width=8", "batch=4", "multipliers=1", "sheet_images=4")]
    train = ["train", "cyclegan", str(tiny.path), "--steps", "1", "--out", out, *small]
    for given, words in (
        (["--to", "colour=blue"], "--to: say by --from"),
        (["--from", "colour=red", "--to", "color=blue"], "no attribute 'color'; there are type, colour"),
        (["--from", "colour=red"], "--from colour=red: no such run; where it names photos, say by --to"),
        ([], "two domains are the same: all photos"),
    ):
        assert main([*train, *given]) == 2 and words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(["train", "vae", *train[2:7], "--from", "colour=red", "--to", "colour=blue"]) == 2
    assert "--to: a vae knows no domains; train cyclegan" in capsys.readouterr().err
    assert main([*train, "--from", "colour=red", "--to", "colour=blue,type=bag"]) == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["domain_a"], settings["domain_b"]) == (["colour=red"], ["colour=blue", "type=bag"])
