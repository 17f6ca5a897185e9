"""Bars in a notebook: one for each kind of work in a cell, however often it is done."""

import IPython.display
import pytest

from prodgen_jax import progress
from prodgen_jax.progress import Progress


class Handle:
    def __init__(self, page):
        self.pages = [page.data]

    def update(self, page):
        self.pages.append(page.data)


@pytest.fixture
def shown(monkeypatch):
    """The bars that a notebook shows, in order; `shown.cell` runs."""
    found = type("Shown", (list,), {"cell": 1})()
    monkeypatch.delenv("PRODGEN_PROGRESS")
    monkeypatch.setattr(progress, "PLACES", {})
    monkeypatch.setattr(progress, "_cell", lambda: found.cell)
    monkeypatch.setattr(IPython.display, "display", lambda page, display_id: found.append(Handle(page)) or found[-1])
    return found


def test_what_is_said_again_in_a_cell_takes_the_place_of_the_bar_before(shown):
    for n in (3, 5):
        with Progress(n, "sampling") as bar:
            bar.advance(n)
    with Progress(7, "training") as bar:
        bar.advance(7)
    assert [bar.pages[-1].count("5/5") + bar.pages[-1].count("7/7") for bar in shown] == [1, 1]
    assert "3/3" in "".join(shown[0].pages) and "3/3" not in shown[0].pages[-1]


def test_another_cell_has_bars_of_its_own(shown):
    for shown.cell in (1, 2, 1):  # a cell's number comes once only; should it come again, its bars are gone
        with Progress(1, "sampling") as bar:
            bar.advance()
    assert len(shown) == 3 and len(progress.PLACES) == 1


def test_nothing_is_shown_where_it_is_silenced(shown, monkeypatch):
    monkeypatch.setenv("PRODGEN_PROGRESS", "0")
    with Progress(1, "sampling") as bar:
        bar.advance()
    assert not shown
