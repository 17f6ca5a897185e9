import csv
import errno
import json
import os
import shutil
import zipfile
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data import prepare as prepare_module
from prodgen_jax.data.columns import Columns
from prodgen_jax.data.prepare import LONGEST_TEXT, prepare, shortened
from prodgen_jax.data.prepared import open_prepared
from prodgen_jax.errors import InputError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "fashion-catalogue"


def audit(prepared):
    with open(prepared.path / "audit.csv", newline="", encoding="utf-8") as file:
        return json.loads((prepared.path / "audit.json").read_text(encoding="utf-8")), list(csv.DictReader(file))


def all_of(prepared, what):
    return np.concatenate([getattr(prepared.split(name), what) for name in prepared.splits])


@pytest.fixture
def untidy(shop, photo, packed):
    """A shop with one row of every defect, and two orphans: {id: reason}."""
    whole = packed(photo(50, 200, 200), quality=95)
    bad = {
        "gone": ("missing photo", None),
        "cut": ("corrupt photo", whole[: len(whole) // 2]),
        "text": ("not an image", b"not a photo at all"),
        "tiny": ("photo too small", packed(photo(51, 9, 9))),
        "blank": ("blank photo", packed(Image.new("RGB", (64, 64), "white"))),
        "copy": ("duplicate photo", packed(photo(3), "PNG")),
        "p0": ("duplicate id", packed(photo(52))),
        "": ("no id", packed(photo(53))),
    }
    rows = [[name, f"{name or 'nobody'}.x.jpg", "shoe", "red", "bad"] for name in bad]
    table = shop(24, rows=[*rows, ["short", "row"]])
    for name, (_, data) in bad.items():
        if data is not None:
            (table.parent / "images" / f"{name or 'nobody'}.x.jpg").write_bytes(data)
    for name in ("orphan1.png", "orphan2.png"):
        photo(54).save(table.parent / "images" / name)
    return table, {name: reason for name, (reason, _) in bad.items()}


def test_every_dropped_row_is_listed_with_its_reason(untidy, tmp_path):
    table, bad = untidy
    record, rows = audit(prepare(table, tmp_path / "out", validation=0.1, test=0.1))
    found = {row["id"]: row["reason"] for row in rows if row["row"] and row["reason"] != "malformed row"}
    assert found == bad
    assert {row["id"]: row["row"] for row in rows}["gone"] == "26"  # as a spreadsheet counts: 24 good rows and a header
    assert [row["image"] for row in rows if row["reason"] == "orphan photo"] == [
        "nobody.x.jpg", "orphan1.png", "orphan2.png", "p0.x.jpg"
    ]  # fmt: skip
    assert (record["rows"], record["kept"], record["orphans"]) == (33, 24, 4)
    assert record["dropped"] == {reason: 1 for reason in [*bad.values(), "malformed row"]}
    assert record["rows"] == record["kept"] + sum(record["dropped"].values())


def test_what_is_kept_is_right(shop, photo, tmp_path):
    table = shop(24, rows=[["odd", "odd.png", "", "NA", ""]])
    photo(60, 64, 64).save(table.parent / "images" / "odd.png")
    prepared = prepare(table, tmp_path / "out", size=64)
    assert Columns(**prepared.meta["columns"]).describe().endswith("attributes: type, colour")
    assert prepared.attributes == {"type": ("bag", "shirt", "shoe"), "colour": ("blue", "red")}
    odd = all_of(prepared, "ids").tolist().index("odd")
    assert np.array_equal(all_of(prepared, "images")[odd], np.asarray(photo(60, 64, 64)))
    for split in map(prepared.split, prepared.splits):
        for i, name in enumerate(split.ids):
            wanted = (-1, -1) if name == "odd" else ((1, 2, 0)[int(name[1:]) % 3], (1, 0)[int(name[1:]) % 2])
            assert (split.labels["type"][i], split.labels["colour"][i]) == wanted


def test_values_go_by_frequency_then_name():
    rows = [{"a": value} for value in ["z", "z", "b", "a", "", "n/a", " b  b "]]
    values, labels = prepare_module.encode(rows, ["a"])
    assert values == {"a": ("z", "a", "b", "b b")} and labels["a"].tolist() == [0, 0, 2, 1, -1, -1, 3]


def test_long_texts_are_cut_between_words():
    long = "word " * 200
    cut = shortened(long)
    assert LONGEST_TEXT - 5 < len(cut) <= LONGEST_TEXT and set(cut.split()) == {"word"}
    assert shortened("x" * 600) == "x" * LONGEST_TEXT
    assert shortened("a  b") == "a  b"


def test_zip_and_folder_and_list_formats_give_the_same_set(shop, tmp_path):
    table = shop(24)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted((table.parent / "images").iterdir()):
            archive.write(file, f"top/{file.name}")
    with open(table, newline="", encoding="utf-8") as file:
        lines = [json.dumps(row) for row in csv.DictReader(file)]
    (tmp_path / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    one = prepare(table, tmp_path / "one")
    two = prepare(tmp_path / "list.jsonl", tmp_path / "two", images=tmp_path / "photos.zip")
    assert one.fingerprint == two.fingerprint and one.meta["request"] != two.meta["request"]


def test_no_overlap_by_id_group_or_hash_and_copies_on_one_side(shop, photo, packed, tmp_path):
    """Thirty products of two views each, and a recompressed copy of every fifth one under another id."""
    rows = [[f"v{i}", f"v{i}.jpg", "bag", "red", f"p{i}"] for i in range(30)]
    rows += [[f"c{i}", f"c{i}.jpg", "bag", "red", f"c{i}"] for i in range(0, 30, 5)]
    table = shop(30, rows=rows)
    for i in range(30):
        photo(100 + i).save(table.parent / "images" / f"v{i}.jpg")
    for i in range(0, 30, 5):
        (table.parent / "images" / f"c{i}.jpg").write_bytes(packed(photo(i), quality=60))
    text = table.read_text(encoding="utf-8").replace("name", "parent_id")
    for i in range(30):
        text = text.replace(f"Nice thing {i}\n", f"p{i}\n")
    table.write_text(text, encoding="utf-8")
    prepared = prepare(table, tmp_path / "out", validation=0.2, test=0.2, group_column="parent_id")
    side, groups, hashes = {}, {}, {}
    for name in prepared.splits:
        split = prepared.split(name)
        assert len(split) > 5
        side |= dict.fromkeys(split.ids.tolist(), name)
        groups[name] = set(split.group)
        hashes[name] = {str(imagehash.phash(Image.fromarray(image))) for image in split.images}
    assert len(side) == 66
    assert all(side[f"p{i}"] == side[f"v{i}"] for i in range(30))
    assert all(side[f"p{i}"] == side[f"c{i}"] for i in range(0, 30, 5))
    for kind in (groups, hashes):
        assert not any(kind[a] & kind[b] for a in kind for b in kind if a != b)
    assert audit(prepared)[0]["near_duplicates"]["photos"] == 12


def test_the_seed_decides(shop, tmp_path):
    table = shop(24)
    sets = [prepare(table, tmp_path / f"out{i}", seed=seed) for i, seed in enumerate((5, 5, 6))]
    assert sets[0].fingerprint == sets[1].fingerprint != sets[2].fingerprint


def test_a_finished_set_is_used_again_and_another_is_never_overwritten(shop, tmp_path, monkeypatch):
    table, out = shop(24), tmp_path / "out"
    first = prepare(table, out)
    (out / "features").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(prepare_module, "_build", lambda *_: pytest.fail("built again"))
        assert prepare(table, out) == first
    for other in ({"size": 16}, {"seed": 1}, {"test": 0.1}, {"attributes": ["type"]}):
        with pytest.raises(InputError, match="prepared otherwise .*differ"):
            prepare(table, out, **other)
    table.write_text(table.read_text(encoding="utf-8") + "p99,p1.png,bag,red,more\n", encoding="utf-8")
    with pytest.raises(InputError, match="source differ"):
        prepare(table, out)
    assert open_prepared(out) == first and (out / "features").is_dir()


def test_other_peoples_folders_are_left_alone(shop, tmp_path):
    table = shop(24)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for out in ("mine", "file"):
        with pytest.raises(InputError, match=out):
            prepare(table, tmp_path / out)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert prepare(table, tmp_path / "empty").path == tmp_path / "empty"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt(), ValueError()])
@pytest.mark.parametrize("where", ["keep", "write_split", "write_tfds", "write_meta"])
def test_a_run_that_stops_midway_leaves_nothing(shop, tmp_path, monkeypatch, error, where):
    table = shop(24)

    def stop(*_):
        raise error

    monkeypatch.setattr(prepare_module, where, stop)
    wanted = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(wanted) as raised:
        prepare(table, tmp_path / "out")
    if wanted is InputError:
        assert str(tmp_path / "out") in str(raised.value) and "No space left" in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"size": 4}, "size: 4"),
        ({"size": 5000}, "size: 5000"),
        ({"size": 32.5}, "size: 32.5"),
        ({"validation": -0.1}, "validation: -0.1"),
        ({"test": 1.0}, "test: 1.0"),
        ({"test": float("nan")}, "test: nan"),
        ({"validation": 0.6, "test": 0.5}, "validation + test"),
        ({"id_column": "nr"}, "'nr'"),
        ({"attributes": ["type", "shape"]}, "'shape'"),
        ({"images": "no/such/folder"}, "no/such/folder"),
    ],
)
def test_bad_settings_are_named(shop, tmp_path, settings, named):
    with pytest.raises(InputError) as error:
        prepare(shop(24), tmp_path / "out", **settings)
    assert named in str(error.value) and [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_no_usable_photo(shop, tmp_path):
    table = shop(24)
    shutil.rmtree(table.parent / "images")
    (table.parent / "images").mkdir()
    with pytest.raises(InputError, match=r"no usable photo in 24 rows; 24 missing photo \(first: row 2, id 'p0'"):
        prepare(table, tmp_path / "out")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom folders can keep out")
def test_a_folder_that_cannot_be_written(shop, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="locked"):
        prepare(shop(24), tmp_path / "locked" / "out")


def test_a_place_below_a_file_cannot_be_written(shop, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        prepare(shop(24), tmp_path / "file" / "out")


@pytest.mark.skipif(not REAL.exists(), reason="the real catalogue is not here")
def test_some_rows_of_the_real_catalogue(tmp_path):
    with open(REAL / "products.csv", encoding="utf-8") as file:
        lines = [next(file) for _ in range(401)]
    (tmp_path / "products.csv").write_text("".join(lines), encoding="utf-8")
    prepared = prepare(tmp_path / "products.csv", tmp_path / "out", images=REAL / "images.zip")
    record, _ = audit(prepared)
    assert record["rows"] == 400 and record["kept"] > 380 and record["orphans"] == 36_145 - 400
    assert {"gender", "articleType", "baseColour", "season"} <= set(prepared.attributes)
    assert record["near_duplicates"]["largest_cluster"] < 20
    assert all_of(prepared, "text")[0] and all_of(prepared, "images").mean() > 150  # mostly white grounds
