"""A TFDS dataset as a catalogue, read as array_record, so that TensorFlow is never needed."""

import contextlib
import io
import socket
from functools import partial
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
from PIL import Image

from prodgen_jax.data.clean import decode, examine
from prodgen_jax.data.columns import find_columns
from prodgen_jax.data.source import Row, Source, in_threads
from prodgen_jax.data.table import Table
from prodgen_jax.errors import InputError

ROW_ID = "id"


def open_tfds(name: str, columns: dict) -> Source:
    """The dataset's first image feature as photos; its class labels, numbers and texts as columns.

    InputError if there is no such dataset, it has no images, or it is neither here as
    array_record nor can be downloaded and made without TensorFlow.
    """
    splits, features = _open(name)
    image = next((key for key, kind in features.items() if type(kind).__name__ == "Image"), None)
    if image is None:
        raise InputError(f"tfds:{name}: no image among its features ({', '.join(features)})")
    named = {key: _namer(kind) for key, kind in features.items() if key != image and kind.shape == ()}
    rows = [
        {ROW_ID: f"{split}-{i}", **{key: to_text(example[key]) for key, to_text in named.items() if key != ROW_ID}}
        for split, examples in splits.items()
        for i, example in enumerate(examples)
    ]
    if not rows:
        raise InputError(f"tfds:{name}: the dataset is empty")

    def look(row: Row, size: int):
        split, _, i = row[ROW_ID].rpartition("-")
        return examine(decode(_bytes(splits[split][int(i)][image]), size), size)

    table = Table(f"tfds:{name}", tuple(rows[0]), rows, list(range(1, len(rows) + 1)))
    labels = tuple(key for key, kind in features.items() if type(kind).__name__ == "ClassLabel")
    usual = {"id_column": ROW_ID, "attributes": labels or None}
    given = {key: value for key, value in columns.items() if value is not None}
    return Source({"dataset": name}, table, find_columns(table, **{**usual, **given}), partial(in_threads, look))


def _open(name: str) -> tuple[dict, dict]:
    """{split: its examples, pictures undecoded}, {feature: its kind}."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, file_format="array_record")
    except (tfds.core.DatasetNotFoundError, ValueError, ImportError) as error:
        raise InputError(f"tfds:{name}: no such dataset ({str(error).splitlines()[0]})") from error
    try:
        _check_hosts(builder)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints; here nobody does
            builder.download_and_prepare()
        features = dict(builder.info.features.items())
        raw = {key: tfds.decode.SkipDecoding() for key, kind in features.items() if type(kind).__name__ == "Image"}
        names = list(builder.info.splits) or ["train"]
        return {split: builder.as_data_source(split=split, decoders=raw) for split in names}, features
    except Exception as error:  # a download fails in as many ways as there are hosts
        raise InputError(
            f"tfds:{name}: cannot be read or made here, without TensorFlow and with this machine's network "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from error


def _check_hosts(builder) -> None:
    """OSError at once where TFDS would try for minutes: its data is not here and its host cannot be found."""
    if builder.data_path.exists() or getproxies():  # behind a proxy names need not resolve here
        return
    for host in {urlsplit(url).hostname for url in builder.url_infos}:
        socket.getaddrinfo(host, None)


def _namer(kind):
    if type(kind).__name__ == "ClassLabel":
        return lambda value: kind.int2str(int(value)) if value >= 0 else ""
    return lambda value: value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _bytes(picture: bytes | np.ndarray) -> bytes:
    """An undecoded picture as it is; one that came decoded all the same, as PNG."""
    if isinstance(picture, bytes):
        return picture
    data = io.BytesIO()
    array = np.asarray(picture)
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(data, "PNG", compress_level=0)
    return data.getvalue()
