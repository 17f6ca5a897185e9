"""The plot of a search: how the best value fell, trial by trial, and what each setting had to do with it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.figures import BLUE, GREY, INK, VERMILION, canvas, heading

WIDE = 20  # a setting whose largest value is so many times its smallest has a log axis


def search_figure(trials: Sequence[Mapping], metric: str) -> Figure:
    """The trials of a trials.json; lower is better. InputError where none was completed."""
    done = [trial for trial in trials if trial["value"] is not None]
    if not done:
        raise InputError("no trial was completed, so there is nothing to show")
    names = sorted(done[0]["settings"])
    figure, axes = canvas(3.2 * (1 + len(names)), 3.0, columns=1 + len(names))
    values = np.array([trial["value"] for trial in done])
    first = axes[0, 0]
    first.plot([trial["trial"] for trial in done], values, "o", color=BLUE, markersize=4, label="completed")
    first.step([t["trial"] for t in done], np.minimum.accumulate(values), color=VERMILION, where="post", label="best")
    for trial in trials:
        if trial["value"] is None:
            first.axvline(trial["trial"], color=GREY, linewidth=0.6, linestyle=":")
    first.set_xlabel("trial (dotted: pruned or failed)", fontsize=8, color=INK)
    first.set_ylabel(f"validation {metric}", fontsize=8, color=INK)
    first.legend(fontsize=7, frameon=False)
    heading(first, "Search")
    for axis, name in zip(axes[0, 1:], names, strict=True):
        found = [trial["settings"][name] for trial in done]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
        axis.plot(found if numbers else [str(value) for value in found], values, "o", color=BLUE, markersize=4)
        if numbers and min(found) > 0 and max(found) / min(found) >= WIDE:
            axis.set_xscale("log")
        heading(axis, name)
    return figure
