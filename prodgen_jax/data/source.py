"""Where a catalogue comes from: a product list with photos, the demo shop, or a TFDS dataset; alike from here on."""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from prodgen_jax.data.clean import BadPhoto, Photo, decode, examine
from prodgen_jax.data.columns import Columns, find_columns
from prodgen_jax.data.photos import Photos, beside, open_photos
from prodgen_jax.data.table import Table, read_table
from prodgen_jax.errors import InputError

BATCH = 64  # photos per task of a worker
DEMO_PRODUCTS = 10_000
WORTH_PROCESSES = 512  # drawing fewer than this takes less time than starting processes

Row = dict[str, str]
Seen = Photo | BadPhoto


@dataclass(frozen=True, eq=False)
class Source:
    """A catalogue. `identity` differs when its contents differ. `look(rows, size)` yields, in the rows' order, each
    row's photo or why there is none; `orphans(rows)` lists the photos that none of them names. `opener()` gives, in any
    process of any machine that sees the photos, the function that looks at one row; None where that cannot be."""

    identity: dict
    table: Table
    columns: Columns
    look: Callable[[Sequence[Row], int], Iterator[Seen]]
    orphans: Callable[[Sequence[Row]], list[str]] = lambda rows: []
    opener: Callable[[], Callable[[Row, int], Photo]] | None = None


def open_source(source: str, images: str | Path | None, seed: int, columns: dict) -> Source:
    """`demo`, `demo:COUNT`, `tfds:NAME` or a product list. `columns`: arguments of `find_columns`.

    InputError if it does not exist or cannot be used; see `read_table`, `open_photos`, `find_columns`.
    """
    kind, _, rest = source.partition(":")
    if kind in ("demo", "tfds") and images is not None:
        raise InputError(f"images: '{source}' brings its own photos; leave `images` out")
    if kind == "demo":
        return _demo(rest, seed, columns)
    if kind == "tfds":
        from prodgen_jax.data.tfds_source import open_tfds

        return open_tfds(rest, columns)
    return _files(Path(source), images, columns)


def _files(path: Path, images: str | Path | None, columns: dict) -> Source:
    table = read_table(path)
    found = find_columns(table, **columns)
    where, column = images if images is not None else beside(path), found.image or found.id
    photos = open_photos(where)
    identity = {"table": hashlib.sha256(path.read_bytes()).hexdigest(), "photos": photos.mark}
    look, orphans = partial(in_threads, _looker(photos, column)), partial(_unnamed, photos, column, path.name)
    return Source(identity, table, found, look, orphans, partial(_open_looker, where, column))


def _looker(photos: Photos, column: str) -> Callable[[Row, int], Photo]:
    find = photos.finder()
    return lambda row, size: examine(decode(photos.fetch(find(row[column])), size), size)


def _open_looker(where: str | Path, column: str) -> Callable[[Row, int], Photo]:
    return _looker(open_photos(where), column)


def _unnamed(photos: Photos, column: str, name: str, rows: Sequence[Row]) -> list[str]:
    """The photos that no row names; the product list itself, a file called `name`, is none."""
    find, named = photos.finder(), {name}
    for row in rows:
        with contextlib.suppress(BadPhoto):
            named.add(find(row[column]))
    return sorted(photos.pictures() - named)


def _demo(count: str, seed: int, columns: dict) -> Source:
    from prodgen_jax.data import demo

    if count and not (count.isdecimal() and int(count) > 0):
        raise InputError(f"demo:{count}: the number of photos must be a whole number above 0, as in demo:2000")
    rows = demo.rows(int(count or DEMO_PRODUCTS), seed)
    table = Table("demo", tuple(rows[0]), rows, list(range(1, len(rows) + 1)))
    usual = {"id_column": "id", "text_column": "name", "group_column": "group", "attributes": tuple(demo.ATTRIBUTES)}
    given = {name: value for name, value in columns.items() if value is not None}
    return Source({"count": len(rows)}, table, find_columns(table, **{**usual, **given}), _draw_all, opener=_open_draw)


def _open_draw() -> Callable[[Row, int], Photo]:
    return _draw


def _draw(row: Row, size: int) -> Photo:
    from prodgen_jax.data import demo

    return examine(Image.fromarray(demo.draw(row, size)), size)


def _draw_all(rows: Sequence[Row], size: int) -> Iterator[Seen]:
    if len(rows) < WORTH_PROCESSES:
        yield from _batch(_draw, size, rows)
        return
    # spawned, not forked: a process that has used JAX has threads, and a forked copy of it may hang
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        try:
            yield from _in_order(pool, _draw, rows, size)
        except BrokenProcessPool as error:
            raise InputError(
                "the processes that draw the demo shop could not start; in a script of your own, call prepare under "
                "`if __name__ == '__main__':`"
            ) from error


def in_threads(look: Callable[[Row, int], Photo], rows: Sequence[Row], size: int) -> Iterator[Seen]:
    """`look` at all rows in threads: Pillow frees the interpreter while it decodes and resamples."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from _in_order(pool, look, rows, size)


def _in_order(pool: Executor, look: Callable[[Row, int], Photo], rows: Sequence[Row], size: int) -> Iterator[Seen]:
    """Results in the rows' order, a few batches ahead of the reader, so that memory stays bounded."""
    ahead: deque = deque()
    try:
        for start in range(0, len(rows), BATCH):
            ahead.append(pool.submit(_batch, look, size, rows[start : start + BATCH]))
            if len(ahead) > 4 * (os.cpu_count() or 1):
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batch(look: Callable[[Row, int], Photo], size: int, rows: Sequence[Row]) -> list[Seen]:
    return [seen(look, row, size) for row in rows]


def seen(look: Callable[[Row, int], Photo], row: Row, size: int) -> Seen:
    try:
        return look(row, size)
    except BadPhoto as bad:
        return bad
