"""Progress of long work: one terminal line, or one HTML bar that is updated in place in a notebook.

`PRODGEN_PROGRESS=0` silences it. The notebook's bar leaves a single final state in a rendered page, and so do all of a
cell that say the same: each takes the place of the one before.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from html import escape

REFRESH_S = 0.25  # seconds between two redraws
LOG_S = 60.0  # seconds between two lines where the output is a file
PLACES: dict = {}  # {(a notebook's cell, what its bar says): where the bar is shown}, of the last cell that had one


def tell(text: str) -> None:
    """One line on stderr that must be seen, whether or not progress is."""
    sys.stderr.write(f"{text}\n")


def clock(seconds: float) -> str:
    """`75` -> `1:15`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _cell() -> int | None:
    """The number of the cell that runs, None outside of a notebook."""
    shell = sys.modules.get("IPython")
    instance = shell.get_ipython() if shell else None
    return instance.execution_count if instance.__class__.__name__ == "ZMQInteractiveShell" else None


class Progress:
    """`with Progress(total, "training") as bar: bar.advance(1, loss=0.3)`.

    total: number of units, None when it is not known; then a caller may set `bar.fraction` itself.
    """

    def __init__(self, total: int | None, what: str, done: int = 0):
        self.total, self.what, self.done, self.shown = total, what, done, {}
        self.fraction: float | None = None
        self.begun, self.first, self.drawn = time.monotonic(), done, 0.0
        self.silent = os.environ.get("PRODGEN_PROGRESS") == "0"
        self.display = None

    def __enter__(self) -> "Progress":
        self._draw()
        return self

    def __exit__(self, *_) -> None:
        self._draw(last=True)

    def advance(self, n: int = 1, **shown: float) -> None:
        """n more units are done; `shown` are values to show beside the bar."""
        self.done += n
        self.shown.update(shown)
        live = _cell() is not None or sys.stderr.isatty()
        if time.monotonic() - self.drawn >= (REFRESH_S if live else LOG_S):
            self._draw()

    def _part(self) -> float:
        if self.fraction is not None:
            return min(self.fraction, 1.0)
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def line(self) -> str:
        """What stands beside the bar: count, rate, time left and the shown values."""
        spent = time.monotonic() - self.begun
        rate = (self.done - self.first) / spent if spent > 0 else 0.0
        part = self._part()
        start = self.first / self.total if self.total and self.fraction is None else 0.0
        left = clock(spent * (1 - part) / (part - start)) if part > start else "?"
        count = f"{self.done:,}/{self.total:,}" if self.total else f"{self.done:,}"
        values = " ".join(f"{k} {v:.4g}" for k, v in self.shown.items())
        return f"{count}  {rate:.1f}/s  {clock(spent)} spent, {left} left  {values}".rstrip()

    def _draw(self, last: bool = False) -> None:
        self.drawn = time.monotonic()
        if self.silent:
            return
        if (cell := _cell()) is not None:
            self._draw_html(cell)
        elif sys.stderr.isatty():
            full = int(24 * self._part())
            text = f"\r\x1b[2K{self.what} [{'#' * full}{'.' * (24 - full)}] {self.line()}"
            sys.stderr.write(text + ("\n" if last else ""))
            sys.stderr.flush()
        elif last or self.done > self.first:  # a log file gets a line a minute, not hundreds
            sys.stderr.write(f"{self.what}: {self.line()}\n")
            sys.stderr.flush()

    def _draw_html(self, cell: int) -> None:
        from IPython.display import HTML, display

        page = HTML(
            f"<div style='font:13px/1.5 monospace'>{escape(self.what)} "
            f"<progress max='1' value='{self._part():.3f}' style='width:12em;vertical-align:middle'></progress> "
            f"{escape(self.line())}</div>"
        )
        key = (cell, self.what)
        self.display = self.display or PLACES.get(key)
        if self.display is not None:
            self.display.update(page)
            return
        for other in [place for place in PLACES if place[0] != cell]:
            del PLACES[other]
        self.display = PLACES[key] = display(page, display_id=True)


def track(items: Iterable, what: str, total: int | None = None) -> Iterator:
    """The items one by one, with a bar."""
    total = len(items) if total is None and hasattr(items, "__len__") else total
    with Progress(total, what) as bar:
        for item in items:
            yield item
            bar.advance()
