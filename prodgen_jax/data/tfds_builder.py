"""A prepared set written as TFDS array_record, for exchange with other programs; training never reads it.

TFDS runs here without TensorFlow, which holds for this file format and for pictures handed over as PNG bytes.
Read it back with
`tfds.builder_from_directory("DIR/tfds/prodgen_catalogue/1.0.0").as_data_source()`.
"""

import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.progress import Progress

NAME = "prodgen_catalogue"


def write_tfds(prepared: PreparedSet, folder: Path) -> None:
    """Write all splits in the order of images.npy: image (PNG), id, text, group, and label/ATTRIBUTE (-1: missing)."""
    import tensorflow_datasets as tfds

    total = sum(prepared.splits.values())
    with Progress(total, "writing TFDS") as bar:
        builder = _builder(tfds, prepared, bar)(data_dir=folder, file_format="array_record")
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces a download; there is none
            _run(builder)
    shutil.rmtree(folder / "downloads", ignore_errors=True)  # TFDS makes it, empty


def _run(builder) -> None:
    """OSError where array_record, which is C++, says in a RuntimeError that the disk is full."""
    try:
        builder.download_and_prepare()
    except RuntimeError as error:
        if "write() failed" not in str(error):
            raise
        raise OSError(str(error)) from error


def _builder(tfds, prepared: PreparedSet, bar: Progress) -> type:
    """The builder class of this set; made inside a function, since importing TFDS takes a second."""
    text = tfds.features.Text()
    features = {
        "image": tfds.features.Image(shape=(prepared.size, prepared.size, 3), encoding_format="png"),
        "id": text, "text": text, "group": text,
        "label": {name: tfds.features.ClassLabel(names=values) for name, values in prepared.attributes.items()},
    }  # fmt: skip

    class Catalogue(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """A prepared catalogue of prodgen_jax."""

        name = NAME
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent  # where TFDS would look for a citation; there is none
        url_infos = {}  # checksums of downloads: none, and looking for them needs importlib_resources

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {name: _examples(prepared.split(name), bar) for name, n in prepared.splits.items() if n}

        def _generate_examples(self):
            raise NotImplementedError("the splits bring their own examples")

    return Catalogue


def _examples(split: Split, bar: Progress) -> Iterator[tuple[int, dict]]:
    for i in range(len(split)):
        yield i, {
            "image": png(split.images[i]), "id": split.ids[i], "text": split.text[i], "group": split.group[i],
            "label": {name: int(labels[i]) for name, labels in split.labels.items()},
        }  # fmt: skip
        bar.advance()


def png(u8: np.ndarray) -> bytes:
    """A picture as PNG bytes, packed lightly: at 32 pixels harder packing saves little and takes longer."""
    data = io.BytesIO()
    Image.fromarray(np.asarray(u8)).save(data, "PNG", compress_level=1)
    return data.getvalue()
