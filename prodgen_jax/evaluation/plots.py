"""Figures of what a record holds beyond its measures: self-tests, control, shop rules, a comparison's frontier."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from prodgen_jax.evaluation.figures import BLUE, COLORS, GREY, INK, MARKERS, VERMILION, canvas, heading, plain_ticks

TITLES = {
    "fcd": "FCD", "fcd_infinity": "FCD∞", "kid": "KID", "precision": "precision", "recall": "recall",
    "density": "density", "coverage": "coverage", "vendi": "Vendi score", "two_sample_accuracy": "two-sample accuracy",
}  # fmt: skip


def self_test_plot(found: Mapping, columns: int = 3) -> Figure:
    """Each measure along the ladders of `record["self_test"]`; the band is the floor, real photos against real ones.

    Ladders are drawn over the number of the rung, 0 being real photos. A measure that failed is named in red, with
    the ladders that it failed; a ladder of which nothing is claimed is drawn pale.
    """
    rows = math.ceil(len(found["metrics"]) / columns)
    figure, axes = canvas(2.6 * columns, 1.9 * rows, rows, columns)
    for axis in axes.flat[len(found["metrics"]) :]:
        axis.set_axis_off()
    for axis, (key, at) in zip(axes.flat, found["metrics"].items(), strict=False):
        low, high = (at["floor"] + side * 3 * at["spread"] for side in (-1, 1))
        axis.axhspan(low, high, color="#DDDDDD", label="real photos")
        for i, name in enumerate(found["rungs"]):
            values = [at["start"], *at[name]]
            pale = 1.0 if name in at["claims"] else 0.3
            axis.plot(values, color=COLORS[i], marker=MARKERS[i], markersize=4, alpha=pale, label=name)
        axis.set_xticks(range(len(values)), ["real", *range(1, len(values))])
        verdict = "passed" if at["passed"] else f"FAILED: {', '.join(at['failed'])}"
        heading(axis, f"{TITLES.get(key, key)}: {verdict}")
        axis.title.set_color(INK)
        if not at["passed"]:
            axis.set_title(axis.get_title("left"), loc="left", color=VERMILION, fontsize=9, fontweight="bold")
    axes.flat[0].legend(fontsize=6.5, frameon=False)
    return figure


def frontier_plot(methods: Mapping[str, Mapping]) -> Figure:
    """Quality over the speed of sampling, and realism over variety: a comparison's methods, with intervals over seeds.

    methods: one budget of `compare`'s result. Methods on the line are beaten by none in both quality and speed.
    """
    figure, axes = canvas(8.2, 3.8, 1, 2)
    panels = (("images_per_second", "fcd"), ("recall", "precision"))
    for axis, (across, up) in zip(axes[0], panels, strict=True):
        for i, (name, at) in enumerate(methods.items()):
            (x, dx), (y, dy) = at[across], at[up]
            look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
            axis.errorbar(x, y, dy or 0, dx or 0, linestyle="", markersize=8, elinewidth=1, label=name, **look)
    speed = axes[0, 0]
    best = frontier([(at["images_per_second"][0], at["fcd"][0]) for at in methods.values()])
    speed.plot(*zip(*best, strict=True), color=GREY, linewidth=1, zorder=0)
    speed.set(xscale="log", yscale="log")
    plain_ticks(speed.yaxis)
    speed.set_xlabel("samples per second, log scale", fontsize=8)
    speed.set_ylabel("FCD, log scale; less is better", fontsize=8)
    axes[0, 1].set_xlabel("recall (variety)", fontsize=8)
    axes[0, 1].set_ylabel("precision (realism)", fontsize=8)
    axes[0, 1].set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    speed.tick_params(which="both", labelsize=8)
    speed.legend(fontsize=7, frameon=True, framealpha=0.9, edgecolor="none")
    heading(speed, "Quality and speed")
    heading(axes[0, 1], "Realism and variety")
    return figure


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (speed, distance) those that no other beats in both, the slowest first."""
    kept: list[tuple[float, float]] = []
    for speed, distance in sorted(points, key=lambda point: (-point[0], point[1])):
        if not kept or distance < kept[-1][1]:
            kept.append((speed, distance))
    return kept[::-1]


def leakage_plot(found: Mapping) -> Figure:
    """A record's `control.leakage` as a matrix: rows what was changed, columns what is then read otherwise."""
    names = list(found["moved"])
    figure, axes = canvas(max(1.6 + 0.9 * len(names), 5.2), 1.3 + 0.55 * (len(names) + 1))
    axis, rows = axes[0, 0], [*names, "another seed"]
    table = [[found["moved"][changed][name] for name in names] for changed in names]
    table.append([found["another_seed"][name] for name in names])
    axis.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for i, line in enumerate(table):
        for j, share in enumerate(line):
            color = INK if share > 0.5 else "white"
            axis.text(j, i, f"{share:.0%}", ha="center", va="center", fontsize=8, color=color)
    axis.set_xticks(range(len(names)), names, rotation=20)
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(False)
    axis.set_xlabel("read otherwise", fontsize=8)
    axis.set_ylabel("changed", fontsize=8)
    heading(axis, "What moves when one attribute is changed")
    return figure


def shop_plot(found: Mapping) -> Figure:
    """A record's `shop`: the share that passes each rule, samples beside real photos, with intervals."""
    rules = list(found["samples"])
    figure, axes = canvas(6.4, 0.9 + 0.4 * len(rules))
    axis = axes[0, 0]
    for offset, who, color, marker in ((-0.12, "real", INK, "*"), (0.12, "samples", BLUE, "o")):
        rate = np.array([found[who][rule]["rate"] for rule in rules])
        low, high = np.array([found[who][rule]["interval"] for rule in rules]).T
        label = "real photos" if who == "real" else who
        place, error = np.arange(len(rules)) + offset, np.clip([rate - low, high - rate], 0, None)
        axis.errorbar(rate, place, xerr=error, linestyle="", color=color, marker=marker, label=label)
    axis.set_yticks(range(len(rules)), rules)
    axis.invert_yaxis()
    axis.set_xlim(-0.03, 1.03)
    axis.set_xlabel("share that passes", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
    heading(axis, "Shop rules")
    return figure
