"""The door: the commands make what they say, and every mistake ends in one line that names it."""

import argparse
import json
import shutil
import zipfile

import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.cli.arguments import METHOD_NAMES, add_wishes, wishes
from prodgen_jax.data.prepared import open_prepared
from prodgen_jax.methods import METHODS
from prodgen_jax.sampling.sample import load_samples
from prodgen_jax.training import features

HELP = """
import contextlib, io, sys
from prodgen_jax.cli import main
for command in "prepare train search sample evaluate compare report style find serve key".split() + [""]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            main([*command.split(), "--help"])
        except SystemExit as end:
            code = end.code
    print(command, code, len(text.getvalue()) > 200)
print([name for name in ("jax", "numpy", "PIL") if name in sys.modules])
"""


@pytest.fixture
def prodgen(capsys):
    """prodgen(*arguments) -> its output; it must end well and say nothing on stderr."""

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return call


@pytest.fixture
def refused(capsys):
    """refused(*arguments) -> the one line on stderr."""

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1 and len(err) < 1000
        return err

    return call


def test_the_names_in_the_help_are_the_methods():
    assert METHOD_NAMES == tuple(METHODS)


def test_help_of_every_command_needs_no_jax(finish):
    *commands, imported = finish("-c", HELP).splitlines()
    assert [line.split()[-2:] for line in commands] == [["0", "True"]] * 12 and imported == "[]"


def test_from_catalogue_to_pictures(shop, tmp_path, prodgen):
    data, out = tmp_path / "set", tmp_path / "run"
    said = prodgen("prepare", shop(24), "--out", data, "--size", 8, "--val", 0.1, "--test", 0.1)
    assert "attributes: type, colour" in said and "kept 24 of 24 rows" in said
    tiny = ("--set", "width=8", "--set", "latent=4", "--set", "batch=8")
    said = prodgen("train", "vae", data, "--out", out, "--steps", 2, *tiny, "--devices", 1)
    assert "vae, step 2" in said
    assert "step 3" in prodgen("train", "vae", data, "--out", out, "--steps", 3, *tiny, "--resume")
    prodgen("sample", out, "-n", 5, "--out", tmp_path / "s.npz", "--seed", 1)
    prodgen("sample", out, "-n", 5, "--out", tmp_path / "png", "--seed", 1)
    assert load_samples(tmp_path / "s.npz").shape == (5, 8, 8, 3) and len(list((tmp_path / "png").iterdir())) == 5


def test_evaluate_writes_a_record(noise_set, run, tmp_path, prodgen, refused, monkeypatch):
    for name in ("LEAST_STEPS", "MOST_STEPS"):
        monkeypatch.setattr(features, name, 2)
    data = noise_set(train=80, validation=8, test=80)
    out = ("--out", tmp_path / "new" / "record.json")
    said = prodgen("evaluate", run.path, data.path, "-n", 70, *out, "--bits")
    record = json.loads((tmp_path / "new" / "record.json").read_text())
    assert record["bits_per_dim"]["photos"] == 80 and f"bits/dim {record['bits_per_dim']['mean']:.3f}" in said
    prodgen("sample", run.path, "-n", 64, "--out", tmp_path / "s.npz")
    assert "--bits: " in refused("evaluate", tmp_path / "s.npz", data.path, *out, "--bits")
    assert record["n"]["samples"] == 70 and record["name"] == "vae" and f"FCD {record['samples']['fcd']:.2f}" in said


def test_self_test_page_and_what_was_asked(noise_set, tmp_path, prodgen, monkeypatch):
    """Samples that carry what was asked for: the record says how far they show it, and the page stands alone."""
    for name in ("LEAST_STEPS", "MOST_STEPS"):
        monkeypatch.setattr(features, name, 2)
    data = noise_set(train=200, validation=8, test=80)
    labels = {name: np.array(values)[data.split("train").labels[name]] for name, values in data.attributes.items()}
    np.savez(tmp_path / "s.npz", images=data.split("train").images, **labels)
    out, page = tmp_path / "record.json", tmp_path / "pages" / "record.html"
    said = prodgen("evaluate", tmp_path / "s.npz", data.path, "--out", out, "--page", page, "--self-test")
    record = json.loads(out.read_text())
    assert set(record["control"]["attributes"]) == {"type", "colour"} and "type: " in said and "own test: " in said
    assert record["copies"]["copies"] == 200 and page.read_text().count("<figure>") == 100


def test_compare_makes_a_table(noise_set, tmp_path, prodgen, refused, monkeypatch):
    for name in ("LEAST_STEPS", "MOST_STEPS"):
        monkeypatch.setattr(features, name, 2)
    data = noise_set(train=80, validation=8, test=80).path
    small = [part for pair in ("width=8", "latent=4", "batch=16") for part in ("--set", f"vae.{pair}")]
    basis = ("compare", data, "--methods", "vae", "--minutes", 0.01, "--out", tmp_path / "out", "--seeds", 1, "-n", 64)
    assert "time: vae FCD" in prodgen(*basis, *small) and (tmp_path / "out" / "compare.md").exists()
    assert "METHOD.KEY=VALUE" in refused(*basis, "--set", "width=8")


# --- mistakes in a catalogue --------------------------------------------------------------------------------------


def test_no_such_catalogue(tmp_path, refused):
    assert "nowhere.csv" in refused("prepare", tmp_path / "nowhere.csv", "--out", tmp_path / "out")
    assert "demo:none" in refused("prepare", "demo:none", "--out", tmp_path / "out")


def test_a_column_that_is_missing(shop, tmp_path, refused):
    for option in ("--id-column", "--image-column", "--attributes"):
        said = refused("prepare", shop(name=option), "--out", tmp_path / "out", option, "sku")
        assert "'sku'" in said and "type, colour" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "\n\n", "id,image,type\n"])
def test_an_empty_table(tmp_path, refused, text):
    (tmp_path / "list.csv").write_text(text)
    said = refused("prepare", tmp_path / "list.csv", "--out", tmp_path / "out")
    assert "list.csv" in said and ("empty" in said or "no rows" in said)


def spoil_photos(table, data):
    for photo in (table.parent / "images").iterdir():
        photo.write_bytes(data)


def test_texts_for_photos(shop, tmp_path, refused):
    table = shop()
    spoil_photos(table, b"this is no photo")
    said = refused("prepare", table, "--out", tmp_path / "out")
    assert "24 not an image" in said and "p0.png" in said and not (tmp_path / "out").exists()


def test_photos_that_claim_20_000_pixels_a_side(shop, tmp_path, refused, png_header):
    table = shop()
    spoil_photos(table, png_header(20_000, 20_000))
    assert "24 photo too large" in refused("prepare", table, "--out", tmp_path / "out")


def test_an_archive_that_points_outside(shop, tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("../evil.png", b"x")
    said = refused("prepare", shop(), "--images", tmp_path / "photos.zip", "--out", tmp_path / "out")
    assert "../evil.png" in said and "photos.zip" in said and not (tmp_path.parent / "evil.png").exists()


def test_a_place_that_cannot_be_written(shop, tiny, run, tmp_path, refused):
    """A file in the way keeps root out, too."""
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / "out"
    for command in (
        ("prepare", shop(), "--out", place),
        ("train", "vae", tiny.path, "--out", place, "--steps", 1),
        ("sample", run.path, "-n", 1, "--out", place / "s.npz"),
        ("sample", run.path, "-n", 1, "--out", place),
    ):
        assert str(tmp_path / "file") in refused(*command)


# --- mistakes in training, sampling, measuring --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("gan",), "method 'gan' is not known; choose one of dcgan, cgan, wgan_gp, stylegan, progressive"),
        (("vae", "--set", "lerning_rate=1"), "'lerning_rate' is not known for vae; known settings: "),
        (("vae", "--set", "lr"), "--set lr: expected name=value"),
        (("vae", "--set", "=3"), "--set =3: expected name=value"),
        (("vae", "--set", "lr=fast"), "lr='fast'"),
        (("vae", "--preset", "abacus"), "preset 'abacus'"),
        (("vae", "--minutes", "0"), "minutes=0"),
        (("vae", "--steps", "-1"), "steps=-1"),
        (("vae",), "--steps or --minutes"),
        (("vae", "--steps", "1", "--devices", "99"), "devices=99"),
        (("ddpm", "--steps", "1", "--set", "condition=brand"), "condition=brand"),
        (("ddpm", "--steps", "1", "--set", "target=x"), "target=x"),
        (("dcgan", "--steps", "1", "--set", "stddev_group=5"), "stddev_group=5"),
        (("ddpm", "--steps", "1", "--set", "condition=colour", "--set", "brightness=0.1"), "'colour'"),
        (("vae", "--steps", "1", "--seed", "-1"), "seed=-1"),
    ],
)
def test_training_that_cannot_be(tiny, tmp_path, refused, arguments, named):
    method, *options = arguments
    assert named in refused("train", method, tiny.path, "--out", tmp_path / "run", *options)


def test_training_on_what_is_no_set(tmp_path, refused):
    assert "nowhere: no such folder" in refused("train", "vae", tmp_path / "nowhere", "--out", "x", "--steps", 1)
    assert "not a finished prepared set" in refused("train", "vae", tmp_path, "--out", "x", "--steps", 1)


def test_a_size_that_the_method_cannot_draw(noise_set, tmp_path, refused):
    data = noise_set(size=12, train=4, validation=1, test=1).path
    assert "not 12" in refused("train", "vae", data, "--out", tmp_path / "run", "--steps", 1)


def test_a_truncated_checkpoint(run, tmp_path, refused):
    copy = shutil.copytree(run.path, tmp_path / "run")
    file = max((copy / "checkpoints" / "2").rglob("*"), key=lambda p: p.is_file() * p.stat().st_size)
    file.write_bytes(file.read_bytes()[:100])
    assert "run/checkpoints/2" in refused("sample", copy, "-n", 1, "--out", tmp_path / "s.npz")
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--where", "type=bag"), "not conditional"),
        (("--where", "type"), "--where type: expected name=value"),
        (("--where", "type=bag", "--where", "type=shoe"), "--where type=bag,type=shoe: names an attribute twice"),
        (("-n", "0"), "n=0"),
        (("--set", "latent=8"), "'latent' cannot be changed after training; a vae has none of sampling"),
        (("--set", "guidance"), "--set guidance: expected name=value"),
    ],
)
def test_sampling_that_cannot_be(run, tmp_path, refused, options, named):
    assert named in refused("sample", run.path, "--out", tmp_path / "s.npz", *options)


@pytest.mark.parametrize("said", [["type=bag,colour=red"], ["type=bag", "colour=red"], ["colour=red", "type=bag"]])
def test_wishes_add_up(said):
    """With commas or each by itself: none takes another's place."""
    parser = argparse.ArgumentParser()
    add_wishes(parser)
    args = parser.parse_args([word for wish in said for word in ("--where", wish)])
    assert wishes(args) == {"where": {"type": "bag", "colour": "red"}, "text": None}


def test_sampling_from_no_run(tmp_path, refused):
    assert "nowhere: not a run folder" in refused("sample", tmp_path / "nowhere", "--out", tmp_path / "s.npz")


def test_measuring_pictures_of_another_size(tiny, tmp_path, refused):
    np.savez(tmp_path / "s.npz", images=np.zeros((64, 16, 16, 3), np.uint8))
    said = refused("evaluate", tmp_path / "s.npz", tiny.path, "--out", tmp_path / "record.json")
    assert "(64, 16, 16, 3)" in said and "8 8 3" in said and not (tmp_path / "record.json").exists()


def test_measuring_what_is_not_there(tiny, run, tmp_path, refused):
    out = ("--out", tmp_path / "record.json")
    assert "nowhere.npz" in refused("evaluate", tmp_path / "nowhere.npz", tiny.path, *out)
    assert "not a run folder" in refused("evaluate", tmp_path, tiny.path, *out)
    assert "40 photos in 'train', measuring needs 64" in refused("evaluate", run.path, tiny.path, *out)
    np.savez(tmp_path / "few.npz", images=np.zeros((5, 8, 8, 3), np.uint8))
    assert "only 5" in refused("evaluate", tmp_path / "few.npz", tiny.path, *out)
    hook = ("--features", "inception=nowhere.pth")
    assert "no such file nowhere.pth" in refused("evaluate", run.path, tiny.path, *out, *hook)


def test_what_was_not_asked_for_is_not_useful(noise_set, run, tmp_path, refused):
    data = noise_set(train=80, validation=8, test=80).path
    said = refused("evaluate", run.path, data, "-n", 70, "--out", tmp_path / "record.json", "--useful", "colour")
    assert "not asked for 'colour', but for nothing" in said and not (tmp_path / "record.json").exists()


def test_a_report_without_notebooks(tmp_path, refused):
    said = refused("report", "--notebooks", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert "nowhere" in said


def test_prepared_by_the_door_is_prepared(shop, tmp_path, prodgen):
    """A list of attributes may have spaces, and none of the others is taken."""
    prodgen("prepare", shop(), "--out", tmp_path / "set", "--size", 8, "--attributes", "colour , type", "--seed", 3)
    prepared = open_prepared(tmp_path / "set")
    assert tuple(prepared.attributes) == ("colour", "type") and prepared.meta["seed"] == 3
