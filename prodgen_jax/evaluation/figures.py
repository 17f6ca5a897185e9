"""Figures of reports and notebooks, from records of `evaluate`, samples and metrics.

Each returns a matplotlib Figure that belongs to no window; nothing is shown or saved here. The colors are Okabe and
Ito's, which readers with any color vision tell apart; markers differ too, for print in grey.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Array, UInt8
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from prodgen_jax.data.images import sheet
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.copies import Copies, verdict
from prodgen_jax.evaluation.tables import html_table, markdown, needs_records, plain, results_table

__all__ = [
    "canvas", "copies_sheet", "heading", "html_table", "markdown", "metric_bars", "picture", "plain_ticks",
    "precision_recall_plot", "results_table", "sample_sheet", "save_figure", "training_curves",
]  # fmt: skip

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6B6B6B",
)  # fmt: skip
COLORS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
MARKERS = "osD^vPX"  # one more than the colors, so that 42 pairs differ
INK = "#222222"


def canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure of so many inches, and its axes [rows columns], in the house's look."""
    figure = Figure(figsize=(width, height), dpi=144, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GREY)
        axis.tick_params(colors=INK, labelsize=8)
        axis.grid(True, color="#E4E4E4", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def save_figure(figure: Figure, path: str | Path) -> Figure:
    """Writes the figure as PNG, making its folder, and hands it back so that a notebook cell can end with it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return figure


def heading(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)


def plain_ticks(axis: Axis) -> None:
    """Numbers as they are read on an axis with a log scale: 20, not 2 x 10^1."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.set_minor_formatter("")


def picture(axis: Axes, pixels: UInt8[np.ndarray, "h w 3"], interpolation: str = "nearest") -> None:
    axis.imshow(pixels, interpolation=interpolation)
    axis.set_axis_off()


def sample_sheet(images: UInt8[Array, "n h w 3"], title: str = "", columns: int | None = None) -> Figure:
    """A contact sheet, pixels as they are. images: uint8, one or more; columns: None makes it wider than tall."""
    if np.ndim(images) != 4 or len(images) == 0:
        raise InputError(f"images: shape {np.shape(images)}, expected a non-empty [n h w 3]")
    columns = columns or min(len(images), max(1, math.ceil(math.sqrt(1.8 * len(images)))))
    pixels = sheet(np.asarray(images), columns)
    width = min(9.0, 0.62 * columns)
    figure, axes = canvas(width, width * pixels.shape[0] / pixels.shape[1] + (0.3 if title else 0.0))
    picture(axes[0, 0], pixels)
    if title:
        heading(axes[0, 0], title)
    return figure


def copies_sheet(images: UInt8[Array, "n h w 3"], copies: Copies, prepared: PreparedSet, most: int = 12) -> Figure:
    """The samples closest to a training product, each beside that product, with its id, distance and verdict.

    images: the samples that `copies` was found for, in the same order.
    """
    if len(images) != len(copies.copied):
        raise InputError(f"{len(images)} images, but the copies report is on {len(copies.copied)}")
    train = prepared.split("train").images
    order = np.argsort(copies.nearest.distance, kind="stable")[:most]
    columns = min(4, len(order))
    rows = math.ceil(len(order) / columns)
    figure, axes = canvas(2.1 * columns, 1.5 * rows + 0.4, rows, columns)
    for axis in axes.flat[len(order) :]:
        axis.set_axis_off()
    for axis, sample in zip(axes.flat, order, strict=False):
        pair = sheet(np.stack([images[sample], train[copies.nearest.row[sample]]]), 2, gap=2)
        said = verdict(copies, int(sample))
        picture(axis, pair)
        words = ["COPY" if said["copy"] else "new", f"{said['distance']:.2f}", *["mirrored"] * said["mirrored"]]
        label = f"{' · '.join(words)}\nproduct {said['id']}"
        axis.set_title(label, fontsize=7, color=VERMILION if said["copy"] else INK, loc="left")
    figure.suptitle(
        f"Sample (left) and its nearest training product (right); a copy lies below {copies.threshold:.2f}",
        fontsize=9, color=INK, x=0.01, ha="left",
    )  # fmt: skip
    return figure


def metric_bars(records: Sequence[Mapping]) -> Figure:
    """Each record's FCD on a log axis, from its own ceiling (a Gaussian per pixel) down to its own floor (real)."""
    needs_records(records)
    figure, axes = canvas(6.4, 0.9 + 0.38 * len(records))
    axis = axes[0, 0]
    ordered = sorted(records, key=lambda record: record["samples"]["fcd"])
    least = min(min(r[who]["fcd"] for who in ("floor", "samples", "ceiling") if r[who]["fcd"] > 0) for r in ordered)
    for y, record in enumerate(ordered):
        low, value, high = (max(record[who]["fcd"], least) for who in ("floor", "samples", "ceiling"))
        axis.plot([low, high], [y, y], color="#D0D0D0", linewidth=7, solid_capstyle="butt", zorder=1)
        axis.plot([low, value], [y, y], color=BLUE, linewidth=7, solid_capstyle="butt", zorder=2)
        axis.plot(value, y, "o", color=BLUE, markersize=8, markeredgecolor="white", zorder=3)
        axis.annotate(plain(value), (value, y), (0, 7), textcoords="offset points", ha="center", fontsize=7.5)
        for end, marker in ((low, "$|$"), (high, "$|$")):
            axis.plot(end, y, marker=marker, color=INK, markersize=9, zorder=3)
    axis.set_xscale("log")
    plain_ticks(axis.xaxis)
    axis.set_yticks(range(len(ordered)), [record["name"] or "samples" for record in ordered])
    axis.set_ylim(len(ordered) - 0.4, -0.7)
    axis.grid(False, axis="y")
    axis.set_xlabel("FCD, log scale: left end real photos, right end a Gaussian per pixel; less is better", fontsize=8)
    heading(axis, "Distance to the catalog")
    return figure


def precision_recall_plot(records: Sequence[Mapping]) -> Figure:
    """Realism against variety: precision over recall, and density over coverage, with real photos' as a star."""
    needs_records(records)
    figure, axes = canvas(7.4, 3.9, 1, 2)
    pairs = (("recall", "precision", "k = 3"), ("coverage", "density", "k = 5"))
    for axis, (across, up, k) in zip(axes[0], pairs, strict=True):
        for i, record in enumerate(records):
            look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
            at = record["samples"]
            axis.plot(at[across], at[up], linestyle="", markersize=8, **look, label=record["name"] or "samples")
        floor = records[0]["floor"]
        axis.plot(floor[across], floor[up], "*", color=INK, markersize=12, label="real photos")
        axis.set_xlim(-0.03, 1.03)
        axis.set_ylim(-0.03, max(1.03, axis.get_ylim()[1]))
        axis.set_xlabel(f"{across} (variety)", fontsize=8)
        axis.set_ylabel(f"{up} (realism)", fontsize=8)
        heading(axis, f"{up.capitalize()} and {across}, {k}")
    axes[0, 0].legend(fontsize=7, frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def training_curves(metrics: Iterable[Mapping], prefix: str = "loss") -> Figure:
    """The lines of RUN/metrics.jsonl (dicts with `step`): every metric that is called `prefix` or `prefix/...`."""
    rows = list(metrics)
    names = sorted({key for row in rows for key in row if key == prefix or key.startswith(prefix + "/")})
    if not names:
        raise InputError(f"no metric '{prefix}' or '{prefix}/...' in these {len(rows)} lines")
    figure, axes = canvas(6.4, 3.4)
    axis = axes[0, 0]
    for i, name in enumerate(names):
        points = np.array([(row["step"], row[name]) for row in rows if name in row], float)
        label = name.removeprefix(prefix + "/")
        style = ("-", "--", ":")[i // len(COLORS) % 3]
        axis.plot(*points.T, style, color=COLORS[i % len(COLORS)], linewidth=1.5, label=label)
    axis.set_xlabel("step", fontsize=8)
    axis.legend(fontsize=7, frameon=False, ncols=1 + len(names) // 8)
    heading(axis, prefix.capitalize())
    return figure
