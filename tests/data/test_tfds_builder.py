import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from prodgen_jax.data.prepared import PreparedSet, write_split
from prodgen_jax.data.tfds_builder import write_tfds


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
    def fail(self):
        raise RuntimeError(said)

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", fail)
    with pytest.raises(wanted, match=said.split("(")[0]):
        write_tfds(PreparedSet(tmp_path, 16, {}, {}, "", {}), tmp_path / "tfds")
