"""A catalogue in, a checked, cleaned, split, prepared set on disk out."""

import hashlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from prodgen_jax.data import near
from prodgen_jax.data.audit import Drop, write_audit
from prodgen_jax.data.clean import THUMB, BadPhoto, Photo
from prodgen_jax.data.columns import Columns, known
from prodgen_jax.data.looked import look_on_beam
from prodgen_jax.data.personal import cleaned, counted
from prodgen_jax.data.prepared import PreparedSet, open_prepared, write_meta, write_split
from prodgen_jax.data.source import Row, Source, open_source
from prodgen_jax.data.split import assign, join_groups
from prodgen_jax.data.tfds_builder import write_tfds
from prodgen_jax.errors import InputError
from prodgen_jax.progress import track

SIZES = range(8, 1025)  # pixels
LONGEST_TEXT = 500  # characters kept of a product's text: rows of a split are as long as its longest one
RULES = {"near_bits": near.BITS, "near_difference": near.DIFFERENCE}


class Kept(NamedTuple):
    """The rows whose photos passed. pixels uint8 [n size size 3] and thumbs uint8 [n THUMB THUMB 3] are memory maps."""

    rows: list[Row]
    pixels: np.ndarray
    thumbs: np.ndarray


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    size: int = 32,
    attributes: Sequence[str] | None = None,
    id_column: str | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    group_column: str | None = None,
    validation: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
    beam: str | None = None,
) -> PreparedSet:
    """Prepare `source` (a product list, `demo`, `demo:COUNT` or `tfds:NAME`) into the folder `out`.

    images: folder or zip of photos (None: images/, images.zip or the list's folder). size: pixels. Columns that are
    None are guessed. validation, test: fractions of the photos. seed: of the split, and of the demo shop.
    beam: Apache Beam's options, as in "runner=DirectRunner": photos are then read by its workers, with the same result.
    A finished set in `out` that equals the request is returned as it is. InputError, with nothing left behind, if the
    source cannot be used, `out` holds anything else, or cannot be written.
    """
    out = Path(out)
    _check_settings(size, validation, test)
    _check_free(out)
    named = {"id_column": id_column, "image_column": image_column, "text_column": text_column,
             "group_column": group_column, "attributes": attributes}  # fmt: skip
    catalogue = open_source(str(source), images, seed, named)
    request = {"size": size, "validation": validation, "test": test, "seed": seed,
               "columns": _listed(catalogue.columns), "source": catalogue.identity, "rules": RULES}  # fmt: skip
    if out.exists() and any(out.iterdir()):
        return _reuse(out, request)
    with building(out) as folder:
        _build(folder, catalogue, request, beam)
    return open_prepared(out)


def open_or_prepare(source: str | Path, out: str | Path, **settings) -> PreparedSet:
    """The prepared set that `source` is, or the one that `prepare(source, out, **settings)` makes of a catalogue."""
    return open_prepared(source) if (Path(source) / "prepared.json").is_file() else prepare(source, out, **settings)


def _build(folder: Path, catalogue: Source, request: dict, beam: str | None) -> None:
    begun = time.monotonic()
    columns, size = catalogue.columns, request["size"]
    kept, dropped = keep(catalogue, size, folder, beam)
    listed, numbers, _ = _with_ids(catalogue)
    read = (*filter(None, [columns.text]), *columns.attributes)
    rows_of = dict(zip((row[columns.id] for row in listed), numbers, strict=True))
    said, personal = cleaned(kept.rows, read, columns.id, columns.image, rows_of)
    hashes = near.perceptual_hash(kept.thumbs)
    pairs = near.near_pairs(kept.thumbs, hashes)
    ids = [row[columns.id] for row in kept.rows]
    groups = join_groups(ids, [row[columns.group] if columns.group else "" for row in kept.rows], pairs)
    splits = assign(groups, request["validation"], request["test"], request["seed"])
    values, labels = encode(said, columns.attributes)
    text = [shortened(row[columns.text]) if columns.text else "" for row in said]
    strings = [np.array(column, dtype=np.str_) for column in (ids, text, groups)]
    digest = hashlib.sha256()
    for name, rows in splits.items():
        parts = {attribute: column[rows] for attribute, column in labels.items()}
        write_split(folder / name, kept.pixels, rows, parts, *[column[rows] for column in strings], digest)
    counts = {name: len(rows) for name, rows in splits.items()}
    prepared = PreparedSet(folder, size, values, counts, digest.hexdigest(), {})
    write_tfds(prepared, folder / "tfds", beam)
    shutil.rmtree(folder / "scratch")
    extra = {"splits": counts, "columns": _listed(columns), "near_duplicates": _near_summary(len(ids), pairs)}
    extra |= {"personal": counted(personal)} if personal else {}
    orphans = catalogue.orphans(listed)
    write_audit(folder, len(catalogue.table.rows) + len(catalogue.table.malformed), dropped, personal, orphans,
                {**extra, "seconds": round(time.monotonic() - begun, 1)})  # fmt: skip
    write_meta(prepared, {"source": catalogue.table.name, "seed": request["seed"],
                         "columns": _listed(columns), "request": request})  # fmt: skip


def keep(catalogue: Source, size: int, folder: Path, beam: str | None = None) -> tuple[Kept, list[Drop]]:
    """Look at every photo; the good ones go to `folder`/scratch. InputError if none is left."""
    rows, numbers, dropped = _with_ids(catalogue)
    columns, kept, digests = catalogue.columns, [], {}
    scratch = folder / "scratch"
    scratch.mkdir()
    with open(scratch / "pixels", "wb") as pixels, open(scratch / "thumbs", "wb") as thumbs:
        look = catalogue.look if beam is None else partial(look_on_beam, catalogue, scratch, beam)
        looked = track(look(rows, size), "reading photos", len(rows))
        for row, number, seen in zip(rows, numbers, looked, strict=True):
            if isinstance(seen, Photo) and seen.digest in digests:
                seen = BadPhoto("duplicate photo", f"the same pixels as id {digests[seen.digest]}")
            if isinstance(seen, BadPhoto):
                dropped.append(Drop(number, row[columns.id], row.get(columns.image, ""), seen.reason, seen.detail))
                continue
            digests[seen.digest] = row[columns.id]
            kept.append(row)
            pixels.write(seen.pixels.tobytes())
            thumbs.write(seen.thumb.tobytes())
    if not kept:
        raise InputError(f"{catalogue.table.name}: no usable photo in {len(rows)} rows; {_main_reasons(dropped)}")
    return Kept(
        kept,
        np.memmap(scratch / "pixels", np.uint8, "r", shape=(len(kept), size, size, 3)),
        np.memmap(scratch / "thumbs", np.uint8, "r", shape=(len(kept), THUMB, THUMB, 3)),
    ), sorted(dropped)


def encode(rows: list[Row], attributes: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, np.ndarray]]:
    """Each attribute's values, most frequent first, then by name, and int32 [n] labels into them; -1 says nothing."""
    values, labels = {}, {}
    for name in attributes:
        cells = [known(row[name]) for row in rows]
        counts = Counter(filter(None, cells))
        values[name] = tuple(sorted(counts, key=lambda value, counts=counts: (-counts[value], value)))
        place = {value: i for i, value in enumerate(values[name])}
        labels[name] = np.array([place.get(cell, -1) for cell in cells], np.int32)
    return values, labels


def shortened(text: str) -> str:
    """The first whole words of a text, LONGEST_TEXT characters at most; captions read fewer."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT + 1].rsplit(None, 1)[0][:LONGEST_TEXT]


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when all has gone well, and is removed when anything has not.

    InputError, naming `out`, if the disk is full or the place cannot be written.
    """
    folder = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{out.name}.partial-", dir=out.parent))
        folder.chmod(0o755)  # mkdtemp's folders are private; a finished set is not
        yield folder
        if out.exists():
            out.rmdir()  # it is empty: `prepare` has looked
        folder.rename(out)
    except OSError as error:
        raise InputError(f"{out}: cannot write the prepared set there: {error.strerror or error}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _with_ids(catalogue: Source) -> tuple[list[Row], list[int], list[Drop]]:
    """The rows with an id of their own, their numbers, and the others."""
    table, columns = catalogue.table, catalogue.columns
    rows, numbers, first = [], [], {}
    dropped = [Drop(number, "", "", "malformed row", why) for number, why in table.malformed]
    for row, number in zip(table.rows, table.numbers, strict=True):
        name, photo = row[columns.id], row.get(columns.image, "")
        if not name:
            dropped.append(Drop(number, "", photo, "no id", f"column '{columns.id}' is empty"))
        elif name in first:
            dropped.append(Drop(number, name, photo, "duplicate id", f"also in row {first[name]}"))
        else:
            first[name] = number
            rows.append(row)
            numbers.append(number)
    return rows, numbers, dropped


def _check_settings(size: int, validation: float, test: float) -> None:
    if size not in SIZES:
        raise InputError(f"size: {size} is not a whole number of pixels from {SIZES[0]} to {SIZES[-1]}")
    for name, part in (("validation", validation), ("test", test)):
        if not 0 <= part < 1:
            raise InputError(f"{name}: {part} is not a fraction from 0 up to, but not including, 1")
    if validation + test >= 1:
        raise InputError(f"validation + test: {validation} + {test} leaves nothing to train on; together below 1")


def _check_free(out: Path) -> None:
    """`out` must be new, empty, or a prepared set."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a file of that name is in the way; choose another folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "prepared.json").is_file():
        raise InputError(f"{out}: the folder holds other files and is no prepared set; choose another folder")


def _reuse(out: Path, request: dict) -> PreparedSet:
    prepared = open_prepared(out)
    there = prepared.meta.get("request", {})
    differ = [name for name in request if there.get(name) != request[name]]
    if differ:
        raise InputError(
            f"{out}: holds a set that was prepared otherwise ({', '.join(differ)} differ); "
            "remove that folder or choose another one"
        )
    return prepared


def _listed(columns: Columns) -> dict:
    """As JSON reads it back."""
    return {**asdict(columns), "attributes": list(columns.attributes)}


def _near_summary(n: int, pairs: np.ndarray) -> dict:
    sizes = np.bincount(near.clusters(n, pairs)) if n else np.zeros(0, int)
    several = sizes[sizes > 1]
    return {**RULES, "pairs": len(pairs), "clusters": len(several), "photos": int(several.sum()),
            "largest_cluster": int(several.max(initial=0))}  # fmt: skip


def _main_reasons(dropped: list[Drop]) -> str:
    counts = Counter(drop.reason for drop in dropped)
    example = dropped[0]
    return f"{', '.join(f'{n} {reason}' for reason, n in counts.most_common())} (first: row {example.row}, id " + (
        f"'{example.id}', image '{example.image}')"
    )
