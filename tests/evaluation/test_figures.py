"""Figures draw without a window, say what they should, and refuse what they cannot show."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import figures
from prodgen_jax.evaluation.copies import find_copies


def text_of(figure):
    FigureCanvasAgg(figure).draw()  # raises if anything in it cannot be drawn
    parts = [figure.get_suptitle()]
    for axis in figure.axes:
        labels = [t.get_text() for t in (*axis.texts, *axis.get_xticklabels(), *axis.get_yticklabels())]
        parts += [axis.get_title(), axis.get_title("left"), axis.get_xlabel(), axis.get_ylabel(), *labels]
    return "\n".join(parts)


def measures(fcd):
    rest = dict.fromkeys(("kid", "kid_stderr", "precision", "recall", "density", "coverage", "vendi"), 0.25)
    return {"fcd": fcd, **rest}


@pytest.fixture
def records():
    return [
        {"name": name, "samples": measures(fcd), "floor": measures(2.0), "ceiling": measures(900.0),
         "copies": {"copies": 1, "of": 500}}
        for name, fcd in (("dcgan", 80.0), ("<vae|b>", 140.0), ("diffusion", 30.5))
    ]  # fmt: skip


def test_sheets(prepared, fresh):
    assert "a title" in text_of(figures.sample_sheet(fresh[:7], "a title"))
    samples = np.concatenate([prepared.split("train").images[5:6], fresh[:20]])
    words = text_of(figures.copies_sheet(samples, find_copies(samples, prepared), prepared, most=6))
    assert "COPY · 0.00" in words and "product train-5" in words and "new" in words


def test_plots_name_their_records(records):
    for draw in (figures.metric_bars, figures.precision_recall_plot):
        assert text_of(draw(records))
    assert "diffusion" in text_of(figures.metric_bars(records)) and "30.5" in text_of(figures.metric_bars(records))
    rows = [{"step": s, "loss/critic": 1 / (s + 1), "time_s": s} for s in range(5)]
    rows.append({"step": 5, "loss/generator": 2.0})
    figure = figures.training_curves(rows)
    assert [line.get_label() for line in figure.axes[0].lines] == ["critic", "generator"]


def test_table(records):
    lines = figures.results_table(records).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| real photos (floor)", "| diffusion", "| dcgan", "| <vae\\|b>", "| Gaussian per pixel (ceiling)",
    ]  # fmt: skip
    assert lines[3].endswith("| 1 / 500 |") and "30.5" in lines[3]
    assert "&lt;vae|b&gt;" in figures.results_table(records, "html")


def test_nothing_to_show_is_refused(prepared, fresh, records):
    copies = find_copies(fresh[:3], prepared)
    for call in (
        lambda: figures.sample_sheet(fresh[:0]),
        lambda: figures.metric_bars([]),
        lambda: figures.results_table(records, "pdf"),
        lambda: figures.training_curves([{"step": 1}]),
        lambda: figures.copies_sheet(fresh[:2], copies, prepared),
    ):
        with pytest.raises(InputError):
            call()
