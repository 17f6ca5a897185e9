"""The matrix of docs/reliability.md: a training is ended in each bad way through the real command line, then resumed.

    python benchmarks/reliability.py --work FOLDER --out docs/reliability.md

A case is passed when what it did ended as it should, its newest whole checkpoint is the straight run's at that step,
and the resumed run's is too, bit for bit: parameters, optimizer, averages, key. The cases on a full and on a read-only
disk mount a small tmpfs, so they need root on Linux. `tests/training/test_reliability.py` runs the same cases.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten

import jax
from reliability_cases import Row, cases
from reliability_lab import Lab, Missed

from prodgen_jax.data.prepare import open_or_prepare

FAILED = "FAILED"
SAID = 260  # letters of what was said that the table shows
MARK, END = "<!-- table: benchmarks/reliability.py -->", "<!-- end of table -->"


def row_of(name: str, case: Callable[[Lab], Row], lab: Lab) -> Row:
    """The case's row; one that fails says why, and keeps no other from its turn."""
    try:
        return case(lab)
    except (AssertionError, Missed, OSError, subprocess.SubprocessError) as error:
        print(error, flush=True)
        return Row(name, FAILED, (str(error).splitlines() or [""])[-1], 0, 0)


def table(rows: list[Row]) -> str:
    head = ["| case | ended | said | saved step | resumed to |", "| --- | --- | --- | ---: | ---: |"]
    short = (row._replace(said=shorten(row.said.replace("|", "/"), SAID, placeholder=" ...")) for row in rows)
    body = ["| " + " | ".join(map(str, row)) + " |" for row in short]
    failed = sum(row.ended == FAILED for row in rows)
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "orbax-checkpoint"))
    said = f"{len(rows)} cases, {failed} failed; {platform.system()}, python {platform.python_version()}, {versions}."
    return "\n".join([*head, *body, "", said])


def write_table(page: Path, rows: list[Row]) -> None:
    before, rest = page.read_text(encoding="utf-8").split(MARK, 1)
    text = before + MARK + "\n\n" + table(rows) + "\n\n" + END + rest.split(END, 1)[1]
    page.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="what is finished there is not done again")
    parser.add_argument("--out", type=Path, help="a page whose table between the marks is written anew")
    parser.add_argument("--moments", type=int, default=10, help="how many kill -9 (default 10)")
    parser.add_argument("--cases", default="", help="only cases whose name holds one of these words, A,B,C")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    args = parser.parse_args()
    done = args.work / "rows.json"
    data, other = (
        open_or_prepare(folder if folder.exists() else "demo:60", folder, size=8, seed=seed).path
        for seed, folder in enumerate((args.work / "set", args.work / "other"))
    )
    lab = Lab(data, other, args.work)
    rows = {name: Row(*row) for name, row in (json.loads(done.read_text()) if done.exists() else {}).items()}
    known = cases(args.moments, args.seed)
    for name in [name for name in known if any(part in name for part in args.cases.split(","))]:
        if name in rows and rows[name].ended != FAILED:
            continue
        begun = time.monotonic()
        rows[name] = row_of(name, known[name], lab)
        print(f"{time.monotonic() - begun:5.1f} s  {name}: {rows[name]}", flush=True)
        done.write_text(json.dumps(rows))
        if args.out:
            write_table(args.out, [rows[name] for name in known if name in rows])
    return int(any(row.ended == FAILED for row in rows.values()))


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"  # of the processes to come: bit for bit is promised on CPU
    jax.config.update("jax_platforms", "cpu")
    sys.exit(main())
