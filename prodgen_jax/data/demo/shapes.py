"""The drawing set: outlines as point arrays, and the parts a good is assembled from.

Units: a good is drawn about the origin, x to the right, y down, roughly inside [-1, 1]; turned, z comes toward the
camera. A point given twice is a corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Outline = Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Part:
    """One piece of a good, painted over the pieces before it."""

    outlines: tuple[Outline, ...]
    ink: str = "body"  # the name of a color of `palette.inks`
    material: str = "cloth"  # the name of a `paint.MATERIALS`
    alpha: float = 1.0
    z: float = 0.0  # how far its plane lies before the axis that the good turns about
    thick: float = 0.0  # half its depth: turned, it shows a side
    pattern: bool = False  # takes the product's pattern


T = np.arange(6) / 6
CATMULL_ROM = np.stack([T**0, T, T**2, T**3], 1) @ [[0, 1, 0, 0], [-0.5, 0, 0.5, 0], [1, -2.5, 2, -0.5],
                                                    [-0.5, 1.5, -1.5, 0.5]]  # fmt: skip


def smooth(points: Sequence, closed: bool = True) -> Outline:
    """A Catmull-Rom curve through the points, six points to a stretch."""
    p = np.array(points, float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    spans = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], 1)
    corner = (spans[:, 1] == spans[:, 2]).all(1)  # a point given twice: a stretch of no length, which would curl
    curve = (CATMULL_ROM @ spans[~corner]).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def flip(outline: Outline) -> Outline:
    return outline * (-1.0, 1.0)


def both(outline: Outline) -> tuple[Outline, Outline]:
    """An outline on the right, and its twin on the left."""
    return outline, flip(outline)


def half(*points) -> Outline:
    """The symmetric outline whose right half runs from the top of the axis to its foot."""
    right = smooth(points, closed=False)
    return np.vstack([right, flip(right)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, steps: int = 40) -> Outline:
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], 1)


def box(x: float, y: float, w: float, h: float, corner: float = 0.0) -> Outline:
    """A rectangle about (x, y), `w` and `h` its half sides, its corners rounded."""
    t = np.linspace(0, np.pi / 2, 6)
    arc = np.stack([np.cos(t), np.sin(t)], 1) * corner
    turns = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    quarters = [(arc if i % 2 == 0 else arc[::-1]) * s + np.multiply(s, (w - corner, h - corner))
                for i, s in enumerate(turns)]  # fmt: skip
    return np.vstack(quarters) + (x, y)


def ribbon(points: Sequence, width: float, closed: bool = False) -> Outline:
    """The band of a width along a line."""
    p = np.array(points, float)
    p = np.concatenate([p, p[:1]]) if closed else p
    ahead, behind = (p[1:2], p[-2:-1]) if closed else (p[-1:], p[:1])
    along = np.concatenate([p[1:], ahead]) - np.concatenate([behind, p[:-1]])
    across = along[:, ::-1] * (-0.5, 0.5) * (width / (np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9))
    return np.concatenate([p + across, (p - across)[::-1]])


def line(*points, width: float = 0.025, ink: str = "seam", alpha: float = 0.6, z: float = 0.0, twin=False) -> Part:
    """A seam, a fold or a stitch: a thin flat line through the points; `twin` draws it on both sides."""
    outline = ribbon(smooth(points, closed=False), width)
    return Part(both(outline) if twin else (outline,), ink, "flat", alpha, z)


def turn(part: Part, angle: float) -> list[Part]:
    """The part seen after the good has turned about its upright axis by `angle` (radians, to the right)."""
    near, back = (np.array([np.sin(angle) * (part.z + s * part.thick), 0.0]) for s in (1, -1))
    squeeze = (np.cos(angle), 1.0)
    face = [Part(tuple(o * squeeze + near for o in part.outlines), part.ink, part.material, part.alpha,
                 pattern=part.pattern)]  # fmt: skip
    if part.thick == 0 or angle == 0:
        return face
    flank = tuple(q for o in part.outlines for q in sweep(o * squeeze + back, near - back))
    return [Part(flank, "shade" if part.ink == "body" else part.ink, part.material, part.alpha), *face]


def sweep(outline: Outline, step: Float[np.ndarray, "2"]) -> list[Outline]:
    """What an outline covers as it moves by `step`: itself, and a quad for each of its edges."""
    ahead = np.roll(outline, -1, 0)
    return [outline, *np.stack([outline, ahead, ahead + step, outline + step], 1)]
