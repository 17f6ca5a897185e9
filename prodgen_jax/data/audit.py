"""What became of each row: audit.json counts, audit.csv lists everything that was not kept as it was, and why."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ORPHAN = "orphan photo"


class Drop(NamedTuple):
    """A row of the product list that was not kept, or not as it was. row: its number there."""

    row: int
    id: str
    image: str
    reason: str
    detail: str


def write_audit(
    folder: Path, rows: int, dropped: list[Drop], changed: list[Drop], orphans: list[str], extra: dict
) -> None:
    """Write both files; `rows` is the number of rows in the product list, `extra` goes into audit.json."""
    counts = Counter(drop.reason for drop in dropped)
    record = {
        "rows": rows,
        "images": rows - counts["malformed row"] - counts["no id"] - counts["duplicate id"] - counts["missing photo"],
        "kept": rows - len(dropped),
        "dropped": dict(counts.most_common()),
        "orphans": len(orphans),
        **extra,
    }
    (folder / "audit.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with open(folder / "audit.csv", "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(Drop._fields)
        lines.writerows(dropped)
        lines.writerows(changed)
        lines.writerows(("", "", name, ORPHAN, "no row names it") for name in orphans)
