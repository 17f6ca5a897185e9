"""A merchant's product list as rows of text: CSV with any usual delimiter, JSON lines or Parquet.

What kind of file it is is told from its contents, not from its name. Row numbers are those a person sees: a CSV's
header is row 1, JSON lines count from line 1, Parquet rows from 1.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from prodgen_jax.errors import InputError

DELIMITERS = ",;\t|"
KINDS_OF_BINARY = {b"PK": "a zip or spreadsheet", b"\xff\xd8\xff": "a JPEG picture", b"\x89PNG": "a PNG picture"}
WANTED = "give a CSV, JSON-lines or Parquet file"
LONGEST_CELL = 10_000_000  # characters; Python's csv stops at 131,072, which a long description may pass


@dataclass(frozen=True)
class Table:
    """`rows[i]` is {column: text} and stands at row `numbers[i]` of the file; `malformed` lists (row number, why)."""

    name: str
    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    numbers: list[int]
    malformed: list[tuple[int, str]] = field(default_factory=list)


def read_table(path: str | Path) -> Table:
    """Read a product list. InputError, naming row and column, if it is missing, empty, or no such list."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a product list; {WANTED} (photos go into `images`)")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the product list: {error.strerror}") from error
    table = _reader(path, data)(path, data)
    if not table.rows:
        why = f"; row {table.malformed[0][0]}: {table.malformed[0][1]}" if table.malformed else ""
        raise InputError(f"{path}: the product list has no rows{why}")
    return table


def _reader(path: Path, data: bytes):
    if not data.strip():
        raise InputError(f"{path}: the product list is empty")
    if data[:4] == b"PAR1":
        return _read_parquet
    for magic, kind in KINDS_OF_BINARY.items():
        if data.startswith(magic):
            raise InputError(f"{path}: {kind}, not a product list; {WANTED}")
    first = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _read_json_lines if first in (b"{", b"[") else _read_csv


def _decode(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: row {row} is not UTF-8 text; save the file as UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}: row {text.count(chr(10), 0, text.index(chr(0))) + 1} is not text; {WANTED}")
    return text


def _read_csv(path: Path, data: bytes) -> Table:
    text = _decode(path, data)
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    csv.field_size_limit(LONGEST_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header, rows, numbers, malformed, row = None, [], [], [], 0
    try:
        for row, cells in enumerate(lines, 1):
            if not any(cells):
                continue
            if header is None:
                header = _header(path, cells)
            elif len(cells) != len(header):
                malformed.append((row, f"{len(cells)} cells where the header has {len(header)}"))
            else:
                rows.append(dict(zip(header, map(str.strip, cells), strict=True)))
                numbers.append(row)
    except csv.Error as error:
        raise InputError(f"{path}: row {row + 1} (line {lines.line_num}): {error}") from error
    return Table(path.name, header, rows, numbers, malformed)


def _header(path: Path, cells: Iterable[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column {i}" for i, cell in enumerate(cells, 1))
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(f"{path}: column '{twice[0]}' appears twice in row 1; rename one")
    return names


def _read_json_lines(path: Path, data: bytes) -> Table:
    rows, numbers = [], []
    for number, line in enumerate(_decode(path, data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}: row {number} is not JSON ({error}); expected one object a line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}: row {number} is not an object; expected one {{...}} a line")
        rows.append({name.strip(): _cell(value) for name, value in row.items()})
        numbers.append(number)
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(path.name, columns, [{name: row.get(name, "") for name in columns} for row in rows], numbers)


def _read_parquet(path: Path, data: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_table(pa.BufferReader(data)).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged Parquet file ({error})") from error
    names = _header(path, columns)
    rows = [dict(zip(names, map(_cell, values), strict=True)) for values in zip(*columns.values(), strict=True)]
    return Table(path.name, names, rows, list(range(1, len(rows) + 1)))


def _cell(value) -> str:
    """A cell as text: nothing is "", 3.0 is "3" (whole numbers turn to floats beside empty cells), nested is JSON."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).strip()
