"""A prepared set written as TFDS array_record, for exchange with other programs; training never reads it.

TFDS runs here without TensorFlow, which holds for this file format and for pictures handed over as PNG bytes.
Read it back with
`tfds.builder_from_directory("DIR/tfds/prodgen_catalogue/1.0.0").as_data_source()`.

The same builder makes its examples one by one in this process, or on Apache Beam, in as many processes and on as many
machines as its runner has (`prodgen_jax.data.beam`); what it writes is the same.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from prodgen_jax.data.beam import making, options_of
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.progress import Progress

NAME = "prodgen_catalogue"


class Part(NamedTuple):
    """A split to be: example i is `opener()(items[i])`. Both can be pickled; files are opened by `opener`."""

    items: Sequence
    opener: Callable[[], Callable[[object], dict]]


def write_tfds(prepared: PreparedSet, folder: Path, beam: str | None = None) -> None:
    """Write all splits in the order of images.npy: image (PNG), id, text, group, and label/ATTRIBUTE (-1: missing)."""
    import tensorflow_datasets as tfds

    text = tfds.features.Text()
    features = {
        "image": tfds.features.Image(shape=(prepared.size, prepared.size, 3), encoding_format="png"),
        "id": text, "text": text, "group": text,
        "label": {name: tfds.features.ClassLabel(names=values) for name, values in prepared.attributes.items()},
    }  # fmt: skip
    parts = {name: Part(range(n), partial(_open_split, prepared, name)) for name, n in prepared.splits.items() if n}
    build(folder, NAME, features, parts, "writing TFDS", beam)


def build(folder: Path, name: str, features: dict, parts: dict[str, Part], doing: str, beam: str | None):
    """Writes `parts` into `folder`/`name`/1.0.0 and returns the builder. beam: Beam's options, None without Beam.

    InputError if Beam is not installed or its options are none; OSError if the disk is full.
    """
    import tensorflow_datasets as tfds

    options, total = options_of(beam), sum(len(part.items) for part in parts.values())
    with Progress(total, doing) as bar:
        splits = {
            split: _examples(part, bar) if options is None else making(part.items, part.opener)
            for split, part in parts.items()
        }
        builder = _builder(tfds, name, features, splits)(data_dir=folder, file_format="array_record")
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces a download; there is none
            _run(builder, tfds.download.DownloadConfig(beam_options=options))
        bar.advance(total - bar.done)  # Beam's workers have no bar
    shutil.rmtree(folder / "downloads", ignore_errors=True)  # TFDS makes it, empty
    return builder


def _run(builder, config) -> None:
    """OSError where array_record, which is C++, says in a RuntimeError that the disk is full."""
    try:
        builder.download_and_prepare(download_config=config)
    except RuntimeError as error:
        if "write() failed" not in str(error):
            raise
        raise OSError(str(error)) from error


def _builder(tfds, called: str, features: dict, splits: dict) -> type:
    """The builder class; made inside a function, since importing TFDS takes a second."""

    class Catalogue(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """A catalogue of prodgen_jax."""

        name = called
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(__file__).parent  # where TFDS would look for a citation; there is none
        url_infos = {}  # checksums of downloads: none, and looking for them needs importlib_resources

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return splits

        def _generate_examples(self):
            raise NotImplementedError("the splits bring their own examples")

    return Catalogue


def _examples(part: Part, bar: Progress) -> Iterator[tuple[int, dict]]:
    make = part.opener()
    for key, item in enumerate(part.items):
        yield key, make(item)
        bar.advance()


def _open_split(prepared: PreparedSet, name: str) -> Callable[[int], dict]:
    split = prepared.split(name)
    return lambda i: {
        "image": png(split.images[i]), "id": split.ids[i], "text": split.text[i], "group": split.group[i],
        "label": {name: int(labels[i]) for name, labels in split.labels.items()},
    }  # fmt: skip


def png(u8: np.ndarray) -> bytes:
    """A picture as PNG bytes, packed lightly: at 32 pixels harder packing saves little and takes longer."""
    data = io.BytesIO()
    Image.fromarray(np.asarray(u8)).save(data, "PNG", compress_level=1)
    return data.getvalue()
