"""From notebooks to a web site that opens from disk: execute what changed, then Sphinx.

In the folder OUT:
  executed/NAME.ipynb + NAME.json   the executed copies and what they were made from
  work/figures/NAME/*.png           what a notebook shows of itself on the first page, the first file largest
  logs/                             full tracebacks, Sphinx's warnings
  html/index.html                   the site; no page of it asks the network for anything
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from prodgen_jax.deploy.site_build import build_html
from prodgen_jax.deploy.site_pages import write_source
from prodgen_jax.deploy.site_run import execute, fresh
from prodgen_jax.deploy.site_stamp import data_fingerprint, machine, source_hash
from prodgen_jax.errors import InputError
from prodgen_jax.progress import Progress

AT_ONCE = 2  # notebooks that run side by side, where none is timed
CLOCKS = ("perf_counter",)  # in a cell: it measures how long something takes
BUDGETS = ("MINUTES",)  # in a cell: it trains for so long
OWN_MINUTES = 3.0  # of each training on data of one's own; for the demo shop trained models come with the package
LONG = ("STEPS =",)  # in a cell: it trains for so many steps, and takes longest of those that run side by side


def numbered(notebooks: Path) -> list[Path]:
    """The notebooks of a folder in the order of their numbers. InputError if there is none."""
    if not notebooks.is_dir():
        raise InputError(f"--notebooks {notebooks}: no such folder")
    found = sorted(notebooks.glob("[0-9]*.ipynb"))
    if not found:
        raise InputError(f"--notebooks {notebooks}: holds no numbered notebook (like 01_data.ipynb)")
    return found


def waves(paths: list[Path]) -> list[list[Path]]:
    """Notebooks that may run side by side: 0x, one by one, make what all share; 7x and on look at the others' runs."""
    groups = groupby(paths, key=lambda path: path.stem if path.stem < "1" else path.stem >= "7")
    return [list(group) for _, group in groups]


def says(path: Path, words: tuple[str, ...]) -> bool:
    """Whether one of the words stands in a notebook's code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return any(word in "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" for word in words)


def batches(paths: list[Path], smoke: bool, own: bool = False) -> list[list[Path]]:
    """What runs after what, each list side by side and begun in its order: the longest first, the short 1x at the end.

    What is timed has the machine for itself, and runs before the others: 7x and on look at what it has trained, and at
    no other runs. On data of one's own, which no model comes for, so does what trains for minutes. In a smoke run
    nothing is timed, and one wave follows the other.
    """
    if smoke:
        return [sorted(wave, key=lambda path: not says(path, LONG)) for wave in waves(paths)]
    shared = [path for path in paths if path.stem < "1"]
    timed = [path for path in paths if path not in shared and says(path, CLOCKS + BUDGETS if own else CLOCKS)]
    others = [path for path in reversed(paths) if path not in shared and path not in timed]
    others.sort(key=lambda path: not says(path, LONG))
    before, after = ([path for path in timed if (path.stem >= "7") is late] for late in (False, True))
    return [*([path] for path in shared + before), *([others] if others else []), *([path] for path in after)]


def owned(values: dict) -> bool:
    """Whether these parameters are of data of one's own, which none of the package's models has learned from."""
    return values.get("DATA", "demo") != "demo"


def parameters(out: Path, data: str | None, smoke: bool, minutes: float | None) -> dict:
    """What goes into each notebook's `parameters` cell; a value of None leaves the notebook's own default."""
    values = {"WORK": str(out / "work"), "SMOKE": smoke}
    if data is not None:  # a path must hold from the notebook's folder as well
        values["DATA"] = str(Path(data).resolve()) if Path(data).exists() else data
    if owned(values):
        values["MINUTES"] = OWN_MINUTES
    if minutes is not None:
        values["MINUTES"] = float(minutes)
    return values


def build_report(
    notebooks: Path,
    out: Path,
    *,
    data: str | None = None,
    smoke: bool = False,
    minutes: float | None = None,
    colab: str | None = None,
) -> Path:
    """Execute every numbered notebook that changed and build the site; returns OUT/html/index.html.

    data: what the notebooks get as DATA; a prepared set, a catalog or a name. minutes: training budget, as MINUTES;
    with data of one's own it is 3 if not said otherwise.
    colab: address of the folder of notebooks, for an "open in Colab" link; default PRODGEN_COLAB, else no link.
    A notebook runs again when its cells, the package, the data, its parameters or the library versions changed.
    InputError names the notebook and cell that failed; what ran before it is kept.
    """
    notebooks, out = Path(notebooks).resolve(), Path(out).resolve()
    paths = numbered(notebooks)
    values = parameters(out, data, smoke, minutes)
    stamp = machine(notebooks) | {"data": data_fingerprint(values.get("DATA"))}
    for folder in ("executed", "logs", "work/figures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    source = source_hash()

    def record(path: Path) -> dict:
        what = f"[{paths.index(path) + 1}/{len(paths)}] {path.stem}"
        known = fresh(path, out, values, stamp, source)
        if known:
            with Progress(1, f"{what} (unchanged)") as bar:
                bar.advance()
        return known or execute(path, out, values, stamp, source, what)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = {
            path.stem: at
            for batch in batches(paths, smoke, own=owned(values))
            for path, at in zip(batch, pool.map(record, batch), strict=True)
        }
    records = {path.stem: made[path.stem] for path in paths}
    pages = write_source(paths, out, records, colab or os.environ.get("PRODGEN_COLAB"))
    return build_html(pages, out)
