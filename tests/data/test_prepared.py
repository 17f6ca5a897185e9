import json
import subprocess
import sys

import numpy as np
import pytest

from prodgen_jax.data.prepared import PreparedSet, open_prepared, write_meta, write_split
from prodgen_jax.errors import InputError

SIZE = 8


@pytest.fixture
def made(tmp_path):
    """A finished set of 6 + 2 + 0 random pictures, and what was put into its first split."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
    for name, rows in (("train", [5, 0, 1, 2, 3, 4]), ("validation", [6, 7]), ("test", [])):
        strings = [np.array([f"{kind}{i}é" for i in rows], dtype=np.str_) for kind in ("id", "text", "group")]
        write_split(tmp_path / "set" / name, pixels, np.array(rows, int), {"type": np.array(rows) % 3 - 1}, *strings)
    counts = {"train": 6, "validation": 2, "test": 0}
    write_meta(PreparedSet(tmp_path / "set", SIZE, {"type": ("shoe", "bag")}, counts, "f", {}), {"seed": 3})
    return tmp_path / "set", pixels[[5, 0, 1, 2, 3, 4]]


def test_round_trip(made):
    path, pixels = made
    prepared = open_prepared(path)
    assert (prepared.size, prepared.attributes, prepared.fingerprint) == (SIZE, {"type": ("shoe", "bag")}, "f")
    assert prepared.splits == {"train": 6, "validation": 2, "test": 0} and prepared.meta["seed"] == 3
    train = prepared.split("train")
    assert isinstance(train.images, np.memmap) and np.array_equal(train.images, pixels) and len(train) == 6
    assert train.labels["type"].tolist() == [1, -1, 0, 1, -1, 0] and train.labels["type"].dtype == np.int32
    assert (train.ids[0], train.text[0], train.group[0]) == ("id5é", "text5é", "group5é")
    assert len(prepared.split("test")) == 0


def test_unknown_split_is_refused(made):
    with pytest.raises(InputError, match="no split 'valid'.*train, validation, test"):
        open_prepared(made[0]).split("valid")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def change(key, value):
    def edit(path):
        meta = json.loads(path.read_text())
        path.write_text(json.dumps({**meta, key: value}))

    return edit


@pytest.mark.parametrize(
    ("file", "damage", "named"),
    [
        ("prepared.json", lambda p: p.unlink(), "not a finished prepared set"),
        ("prepared.json", cut, "damaged"),
        ("prepared.json", lambda p: p.write_text("[]"), "damaged"),
        ("prepared.json", lambda p: p.write_text('{"format": 1}'), "without attributes"),
        ("prepared.json", change("format", 2), "format 2"),
        ("prepared.json", change("splits", {"train": 7}), "expected uint8"),
        ("prepared.json", change("attributes", {"color": []}), "color"),
        ("train/images.npy", cut, "train"),
        ("train/images.npy", lambda p: p.unlink(), "images.npy"),
        ("validation/labels.npz", cut, "validation"),
        ("test/labels.npz", lambda p: p.write_bytes(b""), "test"),
    ],
)
def test_damage_is_named(made, file, damage, named):
    damage(made[0] / file)
    with pytest.raises(InputError) as error:
        open_prepared(made[0])
    assert str(made[0]) in str(error.value) and named in str(error.value)


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_prepared(tmp_path / "nothing")


def test_reading_needs_numpy_alone():
    code = "import sys, prodgen_jax.data.prepared; print([m for m in ('jax', 'PIL', 'tensorflow') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
