import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from prodgen_jax.cli import main
from prodgen_jax.data.prepare import prepare
from prodgen_jax.data.prepared import PreparedSet, open_prepared, write_split
from prodgen_jax.data.tfds_builder import write_tfds
from prodgen_jax.errors import InputError


def test_pictures_and_labels_come_back_exactly(tmp_path):
    """130 pictures, more than one of TFDS's batches of 100, which hold every uint8 value in every channel."""
    n = 130
    pixels = (np.arange(16 * 16 * 3).reshape(1, 16, 16, 3) + np.arange(n).reshape(n, 1, 1, 1)).astype(np.uint8)
    labels = {"type": np.arange(n) % 3 - 1}
    ids, text = np.array([f"i{i}" for i in range(n)]), np.array([f"Größe {i}" for i in range(n)])
    rows = np.arange(n)
    write_split(tmp_path / "train", pixels, rows, labels, ids, text, ids)
    write_split(tmp_path / "test", pixels, rows[:0], {"type": rows[:0]}, ids[:0], text[:0], ids[:0])
    prepared = PreparedSet(tmp_path, 16, {"type": ("shoe", "bag")}, {"train": n, "test": 0}, "", {})
    write_tfds(prepared, tmp_path / "tfds")

    assert [p.name for p in (tmp_path / "tfds").iterdir()] == ["prodgen_catalogue"]
    builder = tfds.builder_from_directory(tmp_path / "tfds" / "prodgen_catalogue" / "1.0.0")
    source = builder.as_data_source(split="train")
    assert len(source) == n and builder.info.features["label"]["type"].names == ["shoe", "bag"]
    for i in (0, 99, 100, 129):
        assert np.array_equal(source[i]["image"], pixels[i]) and source[i]["label"]["type"] == labels["type"][i]
        assert source[i]["id"].decode() == ids[i] and source[i]["text"].decode() == text[i]
    assert set(np.unique(np.stack([source[i]["image"] for i in range(n)]))) == set(range(256))
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    ("said", "wanted"), [("write() failed: No space left on device", OSError), ("no such feature", RuntimeError)]
)
def test_a_full_disk_is_an_oserror(tmp_path, monkeypatch, said, wanted):
    def fail(self, download_config):
        raise RuntimeError(said)

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", fail)
    with pytest.raises(wanted, match=said.split("(")[0]):
        write_tfds(PreparedSet(tmp_path, 16, {}, {}, "", {}), tmp_path / "tfds")


def beam_itself():
    reason = "Apache Beam is not installed: it holds protobuf and pyarrow back, so only the extra `beam` asks for it"
    return pytest.importorskip("apache_beam", reason=reason)


def examples(prepared):
    """{split: every example of the TFDS set, sorted, as bytes}: what it holds, in whatever order."""
    builder = tfds.builder_from_directory(prepared.path / "tfds" / "prodgen_catalogue" / "1.0.0")
    fields = ("image", "id", "text", "group")
    return {
        name: sorted(
            b"|".join(
                [*(np.asarray(one[key]).tobytes() for key in fields), repr(sorted(one["label"].items())).encode()]
            )
            for one in builder.as_data_source(split=name)
        )
        for name, n in prepared.splits.items()
        if n
    }


@pytest.mark.slow
def test_on_beam_the_same_builder_writes_the_same_set(shop, photo, tmp_path):
    """Through the command line, on the local runner; two rows of the list have no usable photo."""
    beam_itself()
    table = shop(24, rows=[["gone", "gone.jpg", "shoe", "red", ""], ["blank", "blank.png", "shoe", "red", ""]])
    photo(1).resize((1, 1)).resize((64, 64)).save(table.parent / "images" / "blank.png")
    photo(54).save(table.parent / "images" / "orphan.png")
    plain = prepare(table, tmp_path / "plain", size=16, validation=0.2, test=0.2)
    end = ["--size", "16", "--val", "0.2", "--test", "0.2", "--beam", "runner=DirectRunner"]
    assert main(["prepare", str(table), "--out", str(tmp_path / "beam"), *end]) == 0
    there = open_prepared(tmp_path / "beam")
    assert there.fingerprint == plain.fingerprint and there.splits == plain.splits and len(plain.splits) == 3
    assert examples(there) == examples(plain) and sum(map(len, examples(there).values())) == 24
    audits = [(one.path / "audit.csv").read_text(encoding="utf-8") for one in (plain, there)]
    assert audits[0] == audits[1] and "missing photo" in audits[0] and "orphan.png" in audits[0]
    assert sorted(p.name for p in there.path.iterdir()) == sorted(p.name for p in plain.path.iterdir())
    assert "tensorflow" not in sys.modules


def test_a_runner_that_is_none_is_said_and_nothing_is_left(shop, tmp_path):
    beam_itself()
    with pytest.raises(InputError, match="beam: 'runner=NoRunner': .*; as in runner=DirectRunner"):
        prepare(shop(8), tmp_path / "out", size=16, beam="runner=NoRunner")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_without_beam_its_option_says_what_to_install(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    with pytest.raises(InputError, match=r"pip install 'prodgen-jax\[beam\]'"):
        prepare(shop(8), tmp_path / "out", size=16, beam="runner=DirectRunner")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
