import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from prodgen_jax.data import demo, source, tfds_source
from prodgen_jax.data.prepare import prepare
from prodgen_jax.data.source import open_source
from prodgen_jax.errors import InputError

SIDE = 20


class TinyShop(tfds.core.GeneratorBasedBuilder):
    """Six bags and six shoes, and two without a label."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}

    def _info(self):
        features = {"image": tfds.features.Image(shape=(SIDE, SIDE, 3)), "title": tfds.features.Text(),
                    "kind": tfds.features.ClassLabel(names=["bag", "shoe"])}  # fmt: skip
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 8), "test": self._generate_examples(8, 14)}

    def _generate_examples(self, start, stop):
        from prodgen_jax.data.tfds_builder import png

        for i in range(start, stop):
            picture = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            yield i, {"image": png(picture), "title": f"Thing {i}", "kind": i % 2 if i < 12 else -1}


@pytest.fixture
def tiny_shop(tmp_path, monkeypatch):
    """The dataset tiny_shop, as if it had been downloaded."""
    whole = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, **kw: whole(name, data_dir=tmp_path / "tfds_data", **kw))


def test_a_tfds_dataset_becomes_a_prepared_set(tiny_shop, tmp_path):
    prepared = prepare("tfds:tiny_shop", tmp_path / "out", size=SIDE, validation=0.1, test=0.1)
    assert prepared.attributes == {"kind": ("bag", "shoe")} and sum(prepared.splits.values()) == 14
    parts = [prepared.split(name) for name in prepared.splits]
    columns = [(part.ids, part.text, part.labels["kind"]) for part in parts]
    ids, text, labels = map(np.concatenate, zip(*columns, strict=True))
    images = np.concatenate([p.images for p in parts])
    assert len(set(ids)) == 14 and {i.rpartition("-")[0] for i in ids} == {"train", "test"}
    for title, label, image in zip(text, labels, images, strict=True):
        i = int(title.split()[1])
        assert label == (i % 2 if i < 12 else -1)
        assert np.array_equal(image, np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    assert "tensorflow" not in sys.modules


def test_unknown_and_undownloadable_datasets(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="tfds:no_such_dataset: no such dataset"):
        open_source("tfds:no_such_dataset", None, 0, {})
    monkeypatch.setattr(TinyShop, "_split_generators", lambda self, manager: 1 / 0)
    whole = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, **kw: whole(name, data_dir=tmp_path, **kw))
    with pytest.raises(InputError, match="tfds:tiny_shop: cannot be read or made here"):
        open_source("tfds:tiny_shop", None, 0, {})


def test_without_a_network_the_answer_comes_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyShop, "url_infos", {"https://nowhere.invalid/data.zip": None})
    monkeypatch.setattr(tfds_source, "getproxies", dict)
    whole = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, **kw: whole(name, data_dir=tmp_path, **kw))
    with pytest.raises(InputError, match="tfds:tiny_shop: .*gaierror"):
        open_source("tfds:tiny_shop", None, 0, {})


def test_the_demo_shop_is_drawn_at_the_prepared_size(tmp_path):
    prepared = prepare("demo:40", tmp_path / "out", size=16, seed=7)
    rows = {row["id"]: row for row in demo.rows(40, 7)}
    assert set(prepared.attributes) == set(demo.ATTRIBUTES) and sum(prepared.splits.values()) == 40
    train = prepared.split("train")
    first = rows[train.ids[0]]
    assert np.array_equal(train.images[0], demo.draw(first, 16)) and train.text[0] == first["name"]
    values = prepared.attributes["type"]
    assert [values[label] for label in train.labels["type"]] == [rows[name]["type"] for name in train.ids]


def test_drawing_in_processes_gives_the_same(monkeypatch):
    catalogue = open_source("demo:70", None, 0, {})
    alone = [photo.pixels for photo in catalogue.look(catalogue.table.rows, 8)]
    monkeypatch.setattr(source, "WORTH_PROCESSES", 0)
    assert np.array_equal(alone, [photo.pixels for photo in catalogue.look(catalogue.table.rows, 8)])


@pytest.mark.parametrize("name", ["demo:0", "demo:-3", "demo:many", "demo:1.5"])
def test_demo_counts(name):
    with pytest.raises(InputError, match=name):
        open_source(name, None, 0, {})


def test_demo_takes_no_photos(tmp_path):
    with pytest.raises(InputError, match="brings its own photos"):
        open_source("demo", tmp_path, 0, {})
