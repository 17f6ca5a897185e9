"""The photographer: parts of a good, placed in the frame, lit from the upper left, on a studio background.

Everything is measured in frame units ([-1, 1] across the picture), so a picture means the same at every size; it is
painted several times larger and averaged down.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

from prodgen_jax.data.demo.shapes import Part

Field = Float[np.ndarray, "h w"]
Photo = Float[np.ndarray, "3 h w"]  # planes: numpy is quick on long rows only


@dataclass(frozen=True)
class Material:
    relief: float  # how strongly the form is modeled by the light
    edge: float  # how dark it turns away at its rim
    gloss: float  # strength of the highlight
    fold: float  # depth of creases
    cast: float  # the shadow on what lies below it


MATERIALS = {
    "cloth": Material(relief=0.42, edge=0.30, gloss=0.02, fold=0.13, cast=0.25),
    "leather": Material(relief=0.55, edge=0.36, gloss=0.30, fold=0.05, cast=0.30),
    "ceramic": Material(relief=0.55, edge=0.30, gloss=0.50, fold=0.00, cast=0.20),
    "metal": Material(relief=0.95, edge=0.35, gloss=0.70, fold=0.00, cast=0.25),
    "rubber": Material(relief=0.30, edge=0.22, gloss=0.00, fold=0.00, cast=0.25),
    "flat": Material(0, 0, 0, 0, 0),
}


@dataclass(frozen=True)
class Look:
    """What one photo shares among its parts."""

    inks: dict[str, np.ndarray]
    pattern: Callable | None  # (x, y) -> share of the second color
    scale: float  # pattern repeats in one frame unit
    roll: float  # radians that the good is rolled by; its pattern rolls with it
    crease: Float[np.ndarray, "6"]  # phases and frequencies of the folds
    turn: float  # sine of the turn: the side turned away is darker


def supersampling(size: int) -> int:
    """Painted pixels to a side of one pixel: more where a pixel is larger."""
    return 4 if size <= 80 else 3 if size <= 160 else 2


@cache
def axis(n: int) -> Float[np.ndarray, " n"]:
    """Centers of n pixels in frame units."""
    return ((np.arange(n) + 0.5) * (2 / n) - 1).astype(np.float32)


def backdrop(n: int, rgb, shadow: tuple[float, float, float]) -> Photo:
    """A studio background with a faint gradient, and the contact shadow `(x, y, half width)`."""
    t = axis(n)
    fall = 1 - 0.012 * (t[:, None] + 1) - 0.008 * t**2
    x, y, w = shadow
    across = np.exp(-((np.abs(t - x) / (0.8 * w + 0.02)) ** 4))
    soft = 0.15 * np.exp(-(((t - y) / 0.055) ** 2)) + 0.26 * np.exp(-(((t - y) / 0.022) ** 2))
    fall = fall * (1 - soft[:, None] * across * (np.abs(t) < 0.96))
    return fall * (np.array(rgb, np.float32) / 255)[:, None, None]


def creases(n: int, phase: Float[np.ndarray, "6"]) -> Field:
    """Smooth folds, drawn on a coarse grid and enlarged."""
    t = axis(32)
    x, y = t[None, :], t[:, None]
    bend = 1.4 * np.sin(1.9 * y + phase[0]) + 0.9 * np.sin(2.7 * y - 1.7 * x + phase[1])
    upright = np.sin((6 + 0.4 * phase[2]) * x + bend)
    slanted = np.sin((5 + 0.4 * phase[3]) * (y - 0.8 * x) + bend + phase[4])
    fold = np.abs(upright) ** 0.6 * np.sign(upright) + 0.6 * slanted * np.sin(1.5 * y + phase[5])
    return np.asarray(Image.fromarray(fold.astype(np.float32)).resize((n, n), Image.Resampling.BICUBIC))


def bounds(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """The upper left and the lower right corner of a part."""
    points = np.concatenate(part.outlines)
    return points.min(0), points.max(0)


def stencil(part: Part, rows: slice, columns: slice, n: int, pad: int) -> UInt8[np.ndarray, "h w"]:
    """The part's form in a window of the frame and `pad` pixels around it.

    Pillow draws a polygon about a pixel too wide along each row; the darker of two neighbors takes that back.
    """
    mask = Image.new("L", (columns.stop - columns.start + 2 * pad + 1, rows.stop - rows.start + 2 * pad))
    pen = ImageDraw.Draw(mask)
    corner = (n / 2 + pad - columns.start + 0.5, n / 2 + pad - rows.start)
    for outline in part.outlines:
        pen.polygon((outline * (n / 2) + corner).ravel().tolist(), fill=255)
    drawn = np.asarray(mask)
    return np.minimum(drawn[:, :-1], drawn[:, 1:])


def blurred(form: UInt8[np.ndarray, "h w"], radius: float) -> Field:
    """A height in [0, 1] for each point of a form, as if it were a cushion."""
    return np.asarray(Image.fromarray(form).filter(ImageFilter.GaussianBlur(radius))) * np.float32(1 / 255)


def inset(field: Field, pad: int, by: int = 0) -> Field:
    """The field without its outer `pad` pixels, moved down and right `by` pixels (`by` <= `pad`)."""
    return field[pad - by : len(field) - pad - by, pad - by : field.shape[1] - pad - by]


def light(material: Material, height: Field, reach: int, fold: Field) -> tuple[Field, Field]:
    """Brightness and highlight of a part whose height is its blurred stencil, given with `reach` pixels around."""
    slope = inset(height, reach, -reach) - inset(height, reach, reach)
    bright = material.relief * slope + material.edge * inset(height, reach) + (1 - material.edge)
    if material.fold:
        bright += (0.4 * material.fold) * fold
    return bright, material.gloss * np.square(np.clip(1.5 * slope, 0, 1))


def printed(part: Part, look: Look, rows: Field, columns: Field) -> np.ndarray:
    """The part's own color, pattern included: [3 1 1], or [3 h w] where it is patterned."""
    ink, second = (look.inks[name].astype(np.float32)[:, None, None] for name in (part.ink, "trim"))
    if not part.pattern or look.pattern is None:
        return ink
    c, s = math.cos(look.roll) * look.scale, math.sin(look.roll) * look.scale
    x, y = c * columns + s * rows, c * rows - s * columns
    return ink + look.pattern(x, y + 0.06 * x * x) * (second - ink)


def lay(photo: Photo, cover: Field, part: Part, look: Look, folds: Field) -> None:
    """Paint one part onto the photo, in place; `cover` is how much of each pixel the good already hides."""
    n, material = len(cover), MATERIALS[part.material]
    low, high = bounds(part)
    soft = min(max(0.16 * float((high - low).min()), 0.012), 0.08) * n / 2  # a form rounds off by its smaller side
    reach, pad = (max(1, round(0.7 * soft)), int(2 * soft) + 1) if material.relief else (0, 1)
    (left, top), (right, foot) = ((low + 1) * (n / 2) - pad).tolist(), ((high + 1) * (n / 2) + pad + 1).tolist()
    rows, columns = slice(max(int(top), 0), min(int(foot), n)), slice(max(int(left), 0), min(int(right), n))
    form, t = stencil(part, rows, columns, n, reach), axis(n)
    mask = inset(form, reach) * np.float32(part.alpha / 255)
    color, here, below = printed(part, look, t[rows, None], t[columns]), photo[:, rows, columns], cover[rows, columns]
    if material.relief:
        height = blurred(form, soft)
        bright, gleam = light(material, height, reach, folds[rows, columns])
        here *= 1 - material.cast * inset(height, reach, reach // 2) * below
        color = color * (bright - (0.3 * look.turn) * t[columns]) + gleam
    here += mask * (color - here)
    np.maximum(below, mask, out=below)


def photograph(parts: list[Part], look: Look, rgb, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The finished picture of parts already placed in the frame."""
    factor = supersampling(size)
    n = size * factor
    photo, cover, folds = backdrop(n, rgb, footing(parts)), np.zeros((n, n), np.float32), creases(n, look.crease)
    for part in parts:
        lay(photo, cover, part, look, folds)
    planes = (np.clip(photo, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.asarray(Image.merge("RGB", [Image.fromarray(plane).reduce(factor) for plane in planes]))


def footing(parts: list[Part]) -> tuple[float, float, float]:
    """Where the good meets the floor: center, height and half width of its lowest points."""
    points = np.concatenate([outline for part in parts for outline in part.outlines])
    floor = float(points[:, 1].max())
    foot = points[points[:, 1] > floor - 0.16, 0]
    left, right = float(foot.min()), float(foot.max())
    return (left + right) / 2, floor, (right - left) / 2
