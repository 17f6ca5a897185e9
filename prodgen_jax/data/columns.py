"""Which column is what: the id, the photo, the text, the product group and the attributes of a product list."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prodgen_jax.data.prepared import RESERVED
from prodgen_jax.data.table import Table
from prodgen_jax.errors import InputError

# Usual names, compared without case, spaces, '_' and '-'; earlier ones win.
ID_NAMES = ("id", "sku", "productid", "itemid", "articleid", "uid", "code", "key")
IMAGE_NAMES = ("image", "photo", "picture", "file", "filename", "imagefile", "imagename", "imagepath", "path", "img")
TEXT_NAMES = ("name", "title", "productname", "productdisplayname", "displayname", "description", "text", "caption")
GROUP_NAMES = (
    "group",
    "groupid",
    "productgroup",
    "itemgroupid",
    "parent",
    "parentid",
    "parentsku",
    "modelid",
    "styleid",
)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
EMPTY = frozenset({"", "na", "n/a", "nan", "null"})  # an attribute cell that says nothing, whatever its case
MOST_VALUES = 256  # a guessed attribute has at most this many values,
USES = 4  # and each of them stands in this many rows on average


@dataclass(frozen=True)
class Columns:
    """Names of columns. `image` None: the photo is the file called like the id. `text`, `group` None: there is none."""

    id: str
    image: str | None
    text: str | None
    group: str | None
    attributes: tuple[str, ...]

    def describe(self) -> str:
        """One line for people."""
        photo = f"column '{self.image}'" if self.image else "file named like the id"
        text = f"'{self.text}'" if self.text else "none"
        group = f"'{self.group}'" if self.group else "none"
        return f"id '{self.id}'; photo: {photo}; text: {text}; group: {group}; attributes: " + (
            ", ".join(self.attributes) or "none"
        )


def find_columns(
    table: Table,
    id_column: str | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    group_column: str | None = None,
    attributes: Sequence[str] | None = None,
) -> Columns:
    """The columns as named, and sensible guesses for those that are None.

    InputError if a named column does not exist, or there is none that can serve as id.
    """
    named = (id_column, image_column, text_column, group_column, *(attributes or ()))
    for name in filter(None, named):
        if name not in table.columns:
            raise InputError(f"{table.name}: no column '{name}'; its columns are {', '.join(table.columns)}")
    taken = set(filter(None, named))
    values = {name: [row[name] for row in table.rows] for name in table.columns}
    id_column = id_column or _guess(ID_NAMES, values, taken, _all_differ) or _first(values, taken, _all_differ)
    if id_column is None:
        raise InputError(
            f"{table.name}: no column has a different value in each row; name the one with the ids (id_column). "
            f"Its columns are {', '.join(table.columns)}"
        )
    taken.add(id_column)
    image_column = image_column or _guess(IMAGE_NAMES, values, taken) or _first(values, taken, _file_names)
    taken.add(image_column)
    text_column = text_column or _guess(TEXT_NAMES, values, taken, lambda v: not _few_values(v))
    group_column = group_column or _guess(GROUP_NAMES, values, taken, lambda v: not _few_values(v))
    taken |= {text_column, group_column}
    if attributes is None:
        attributes = [n for n in values if n not in taken and _nameable(n) and _few_values(values[n])]
    return Columns(id_column, image_column, text_column, group_column, _checked(table, attributes))


def known(cell: str) -> str:
    """An attribute's value with single spaces, or "" where the cell says nothing."""
    return "" if cell.casefold() in EMPTY else " ".join(cell.split())


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " _-")


def _guess(usual: Sequence[str], values: dict, taken: set, fits=lambda v: True) -> str | None:
    by_name = {_plain(name): name for name in reversed(values) if name not in taken}
    return next((by_name[u] for u in usual if u in by_name and fits(values[by_name[u]])), None)


def _first(values: dict, taken: set, fits) -> str | None:
    return next((name for name, column in values.items() if name not in taken and fits(column)), None)


def _all_differ(column: list[str]) -> bool:
    """Few repeats: a real list may hold a row twice, which cleaning drops."""
    return len(set(column) - {""}) > 0.9 * len(column)


def _file_names(column: list[str]) -> bool:
    return sum(cell.lower().endswith(SUFFIXES) for cell in column) > 0.5 * len(column)


def _few_values(column: list[str]) -> bool:
    """Like a category: words, at least two of them, each used in several rows."""
    counts = Counter(filter(None, map(known, column)))
    words = any(not value.replace(".", "", 1).lstrip("-").isdigit() for value in counts)
    return words and 2 <= len(counts) <= min(MOST_VALUES, max(2, len(column) // USES))


def _nameable(name: str) -> bool:
    return name not in RESERVED and "/" not in name


def _checked(table: Table, attributes: Sequence[str]) -> tuple[str, ...]:
    for name in attributes:
        if not _nameable(name):
            raise InputError(f"{table.name}: an attribute cannot be called '{name}'; rename that column")
    return tuple(dict.fromkeys(attributes))
