"""Pictures handed on: PNG files that say where they come from, and a table of them that is a catalog again."""

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from prodgen_jax.data.images import save_png
from prodgen_jax.data.origin import GENERATED, Origin, read_origin
from prodgen_jax.errors import InputError
from prodgen_jax.progress import Progress
from prodgen_jax.sampling.edit import Photo, check_places, listed, open_photo
from prodgen_jax.sampling.sample import load_samples

TABLE = "products.csv"


@dataclass(frozen=True)
class Item:
    """A picture that is to be packed, under its name. values: what was asked for, {attribute: value}."""

    name: str
    read: Callable[[], Photo]
    origin: Origin | None = None
    values: dict[str, str] = field(default_factory=dict)


def opened(paths: Sequence[str | Path]) -> list[Item]:
    """Photo files, those of folders, and the pictures of `prodgen sample`'s .npz files. InputError if there is none."""
    found = []
    for path in map(Path, paths):
        found += of_samples(path) if path.suffix == ".npz" else [of_file(photo) for photo in listed(path)]
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: no picture in it")
    return found


def of_file(path: Path) -> Item:
    said = read_origin(path)
    return Item(path.stem, lambda: np.asarray(open_photo(path)), origin_of(said) if said else None)


def of_samples(path: Path) -> list[Item]:
    images = load_samples(path)
    with np.load(path, allow_pickle=False) as file:
        rest = {name: file[name] for name in file.files if name != "images"}
    origin = origin_of(json.loads(str(rest.pop("origin")))) if "origin" in rest else None
    values = {name: column for name, column in rest.items() if column.shape == (len(images),)}
    return [
        Item(
            f"{i:05d}",
            partial(images.__getitem__, i),
            origin and replace(origin, facts={**origin.facts, "place": i}),
            {name: str(column[i]) for name, column in values.items()},
        )
        for i in range(len(images))
    ]


def origin_of(said: dict) -> Origin:
    facts = dict(said)
    return Origin(facts.pop("source", GENERATED), facts)


def pack(
    out: str | Path, items: Sequence[Item], change: Callable[[Photo], Photo], sources: Sequence[str | Path] = ()
) -> None:
    """Writes what `change` makes of each item's picture as NAME.png, and `products.csv`, into a folder or a .zip.

    InputError, and nothing written, where two have one name, or where a source would be written over.
    """
    out = Path(out)
    check_names(out, items, sources)
    attributes = list(dict.fromkeys(name for item in items for name in item.values))
    table = io.StringIO()
    writer = csv.DictWriter(table, ["id", "image", *attributes], lineterminator="\n")
    writer.writeheader()
    with Folder(out) if out.suffix != ".zip" else Archive(out) as place, Progress(len(items), "packing") as bar:
        for item in items:
            file = io.BytesIO()
            save_png(file, change(item.read()), item.origin)
            place.add(f"{item.name}.png", file.getvalue())
            bar.advance()
            writer.writerow({"id": item.name, "image": f"{item.name}.png", **item.values})
        place.add(TABLE, table.getvalue().encode())


def check_names(out: Path, items: Sequence[Item], sources: Sequence[str | Path]) -> None:
    name, times = Counter(item.name for item in items).most_common(1)[0]
    if times > 1:
        raise InputError(f"{name}: two pictures have this name; finish them one call after the other")
    photos = [photo for source in map(Path, sources) if source.suffix != ".npz" for photo in listed(source)]
    if out.suffix != ".zip":
        check_places(photos, [out / f"{photo.stem}.png" for photo in photos])


class Folder:
    """Where files are added by name."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_):
        pass

    def add(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)


class Archive:
    """The same as a .zip, which has its name only when all is in it."""

    def __init__(self, path: Path):
        self.path, self.part = path, path.with_name(path.name + ".partial")

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = zipfile.ZipFile(self.part, "w")
        return self

    def __exit__(self, kind, *_):
        self.file.close()
        self.part.replace(self.path) if kind is None else self.part.unlink()

    def add(self, name: str, content: bytes) -> None:
        self.file.writestr(zipfile.ZipInfo(name), content)  # without the time: the same pictures are the same bytes
