"""The prepared set: a checked, square, split catalogue on disk, read back as memory maps.

```
DIR/prepared.json      written last: what stands here, and the fingerprint of its pictures and labels
DIR/audit.json, .csv   what was dropped on the way, and why
DIR/SPLIT/images.npy   uint8 [n size size 3]
DIR/SPLIT/labels.npz   int32 [n] per attribute (index into its values, -1: missing); id, text, group: unicode [n]
DIR/tfds/              the same set as TFDS array_record, for exchange; training never reads it
```
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prodgen_jax.errors import InputError

FORMAT = 1
SPLITS = ("train", "validation", "test")
STRINGS = ("id", "text", "group")  # the columns of labels.npz that are not attributes
RESERVED = (*STRINGS, "file", "embedding")  # names that no attribute may have: they mean something else

ROWS_AT_ONCE = 1024  # pictures in memory while writing


@dataclass(frozen=True, eq=False)
class Split:
    """One split: `images` uint8 [n size size 3] (a memory map), `labels` {attribute: int32 [n]}, strings [n].

    domains: the rows of each domain, where an example is a photo of each (`data.domains`).
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]
    ids: np.ndarray
    text: np.ndarray
    group: np.ndarray
    domains: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class PreparedSet:
    """A finished prepared set. `attributes`: {name: its values}, `splits`: {name: number of pictures}."""

    path: Path
    size: int
    attributes: dict[str, tuple[str, ...]]
    splits: dict[str, int]
    fingerprint: str
    meta: dict = field(compare=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.path, self.fingerprint))

    def split(self, name: str) -> Split:
        """Open one split. InputError if it is unknown, cut short, or its labels do not fit its pictures."""
        if name not in self.splits:
            raise InputError(f"{self.path}: no split '{name}'; it has {', '.join(self.splits)}")
        return read_split(self.path / name, self.size, self.splits[name], self.attributes)


def open_prepared(path: str | Path) -> PreparedSet:
    """Open a finished prepared set, checking that every file is there and whole.

    InputError if `path` is no prepared set, is unfinished, has another format, or one of its files is damaged.
    """
    path = Path(path)
    meta = read_meta(path)
    prepared = PreparedSet(
        path=path,
        size=int(meta["size"]),
        attributes={name: tuple(values) for name, values in meta["attributes"].items()},
        splits={name: int(n) for name, n in meta["splits"].items()},
        fingerprint=meta["fingerprint"],
        meta=meta,
    )
    for name in prepared.splits:
        prepared.split(name)
    return prepared


def read_meta(path: Path) -> dict:
    """The contents of prepared.json, or an InputError that says what `path` is instead."""
    file = path / "prepared.json"
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; make a prepared set with `prodgen prepare SOURCE --out {path}`")
    if not file.is_file():
        raise InputError(f"{path}: not a finished prepared set (it has no prepared.json); run `prodgen prepare` again")
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        found = meta["format"]
        missing = {"size", "attributes", "splits", "fingerprint"} - set(meta)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error!r}); remove {path} and prepare it again") from error
    if found != FORMAT:
        raise InputError(f"{file}: format {found}, this version reads format {FORMAT}; prepare the set again")
    if missing:
        raise InputError(f"{file}: damaged, without {', '.join(sorted(missing))}; remove {path} and prepare it again")
    return meta


def read_split(folder: Path, size: int, n: int, attributes: dict[str, tuple[str, ...]]) -> Split:
    """Memory-map a split's pictures and read its labels; InputError if anything is missing or the wrong shape."""
    try:
        images = np.load(folder / "images.npy", mmap_mode="r")
        with open(folder / "labels.npz", "rb") as opened, np.load(opened) as file:
            labels = {name: file[name] for name in attributes}
            strings = [file[name] for name in STRINGS]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{folder}: damaged or incomplete ({error}); remove the set and prepare it again") from error
    if images.shape != (n, size, size, 3) or images.dtype != np.uint8:
        raise InputError(f"{folder}/images.npy: {images.dtype} {images.shape}, expected uint8 {(n, size, size, 3)}")
    for name, column in [*labels.items(), *zip(STRINGS, strings, strict=True)]:
        if column.shape != (n,):
            raise InputError(f"{folder}/labels.npz: '{name}' has shape {column.shape}, expected {(n,)}")
    return Split(images, labels, *strings)


def write_split(
    folder: Path,
    pixels: np.ndarray,
    rows: np.ndarray,
    labels: dict[str, np.ndarray],
    ids: np.ndarray,
    text: np.ndarray,
    group: np.ndarray,
    digest=None,
) -> None:
    """Write one split, the counterpart of `read_split`: the `rows` of `pixels`, and labels and strings of these rows.

    `digest`, a hashlib object, is fed with all that is written. OSError if the disk is full.
    """
    digest = digest or hashlib.sha256()
    folder.mkdir(parents=True)
    with open(folder / "images.npy", "wb") as file:  # plain writes: a memory map on a full disk kills the process
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *pixels.shape[1:])}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = pixels[rows[start : start + ROWS_AT_ONCE]].tobytes()
            file.write(part)
            digest.update(part)
    columns = {name: np.asarray(values, np.int32) for name, values in labels.items()}
    columns |= {name: np.asarray(values, np.str_) for name, values in zip(STRINGS, (ids, text, group), strict=True)}
    for name, values in sorted(columns.items()):
        digest.update(f"{folder.name}/{name}:".encode() + values.tobytes())
    np.savez(folder / "labels.npz", **columns)


def write_meta(prepared: PreparedSet, more: dict) -> None:
    """Write prepared.json, the last of a set's files: with it the set is finished."""
    meta = {
        **more,
        "format": FORMAT,
        "size": prepared.size,
        "attributes": prepared.attributes,
        "splits": prepared.splits,
        "fingerprint": prepared.fingerprint,
    }
    (prepared.path / "prepared.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False), encoding="utf-8")
