"""The plot of a search: how the best value fell, trial by trial, and what each setting had to do with it."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.figures import BLUE, GREY, INK, VERMILION, canvas, heading

WIDE = 20  # a setting whose largest value is so many times its smallest has a log axis
FEW = 6  # fewer different whole numbers are ticks of their own, evenly spaced
ROOM = 3.0  # the axis reaches so many times the way from the best to the median beyond it; one bad trial may be far off


def search_figure(trials: Sequence[Mapping], metric: str) -> Figure:
    """The trials of a trials.json; lower is better. InputError where none was completed."""
    done = [trial for trial in trials if trial["value"] is not None]
    if not done:
        raise InputError("no trial was completed, so there is nothing to show")
    names = sorted(done[0]["settings"])
    figure, axes = canvas(3.2 * (1 + len(names)), 3.0, columns=1 + len(names))
    values = np.array([trial["value"] for trial in done])
    first, numbers = axes[0, 0], [trial["trial"] for trial in done]
    first.step(numbers, np.minimum.accumulate(values), color=VERMILION, where="post", label="best so far")
    points(first, numbers, values)
    for trial in trials:
        if trial["value"] is None:
            first.axvline(trial["trial"], color=GREY, linewidth=0.6, linestyle=":")
    first.set_xlim(-0.5, len(trials) - 0.5)
    first.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first.set_xlabel("trial (dotted: pruned or failed)", fontsize=8, color=INK)
    first.set_ylabel(f"validation {metric}, lower is better", fontsize=8, color=INK)
    heading(first, "Search")
    for axis, name in zip(axes[0, 1:], names, strict=True):
        points(axis, places(axis, [trial["settings"][name] for trial in done]), values)
        heading(axis, name)
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def points(axis: Axes, x: Sequence[float], values: Float[np.ndarray, "n"]) -> None:
    """The trials as points; the best is a star, and those beyond the axis are triangles at its upper edge."""
    x, low, median = np.asarray(x, float), values.min(), np.median(values)
    top = min(values.max(), median + ROOM * max(median - low, 1e-3 * abs(median)))
    far, best = values > top, int(np.argmin(values))
    axis.plot(x[~far], values[~far], "o", color=BLUE, markersize=4, label="completed")
    axis.plot(
        x[far], np.full(far.sum(), top), "^", color=BLUE, markersize=5, label="off the scale" if far.any() else None
    )
    axis.plot(x[best], low, "*", color=VERMILION, markersize=10, label="best")
    edge = 0.05 * (top - low or 1.0)
    axis.set_ylim(low - edge, top + edge)


def places(axis: Axes, found: Sequence) -> list[float]:
    """Where a setting's values stand on the axis, which is set up for them: few or no numbers evenly, else to scale."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
    kinds = sorted(set(found), key=lambda value: value if numbers else str(value))
    if not numbers or len(kinds) == 1 or len(kinds) < FEW and all(isinstance(value, int) for value in kinds):
        axis.set_xticks(range(len(kinds)), [f"{kind:.4g}" if numbers else str(kind) for kind in kinds])
        axis.set_xlim(-0.5, len(kinds) - 0.5)
        return [kinds.index(value) for value in found]
    axis.xaxis.set_major_locator(MaxNLocator(5))
    if kinds[0] > 0 and kinds[-1] / kinds[0] >= WIDE:
        axis.set_xscale("log")
    return list(found)
