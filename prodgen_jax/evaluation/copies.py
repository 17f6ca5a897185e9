"""Has a sample been copied from the training set? Its nearest training product, and a verdict (E7).

Two pictures are compared as coarse luminance and coarser color, which counts half, mirrored and not, and once more with
a slight crop undone; that shrugs off noise and recompression. A plain threshold fails, because simple products (a
lipstick on white) are always near one another. So the distance to the nearest product is divided by the mean over the
50 nearest, as Carlini 2023, sec. 4.2, does for latents: a copy is far nearer to one product than to its neighborhood.
The threshold comes from held-out pictures, which cannot be copies; false alarms are then counted on other held-out
pictures, and recall on planted copies, so each report says how far it can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from prodgen_jax.data.images import LUMA, blocks_of
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.intervals import wilson
from prodgen_jax.evaluation.planted import CROP, PROMISED, plant
from prodgen_jax.training.features import check_images

LUMA_CELLS, COLOR_CELLS = 16, 4  # cells on a side, at most
LUMA_PIXELS, COLOR_PIXELS = 2, 8  # pixels on a cell's side, at least: JPEG halves the color's resolution
COLOR_WEIGHT = 0.5  # of a level of color beside one of luminance: JPEG rounds color more coarsely, too
NEIGHBORS = 50  # training pictures that make up a neighborhood
SAME = 2.0  # levels of 255, root mean square: closer than this it is the same photo, whatever the neighborhood
ALARMS = 0.005  # share of held-out pictures below the threshold; half of what is promised, since it is an estimate
MOST_HELD_OUT, PLANTED = 2000, 200  # pictures for calibration; copies planted of each kind
BLOCK = 256  # pictures described, and compared with the whole training set, at once
UNCROP = 1 - 2 * CROP  # size at which a slightly cropped copy is compared once more


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each of n pictures: its nearest training row, whether mirrored, levels apart, and levels / neighborhood."""

    row: Int[np.ndarray, "n"]
    mirrored: Bool[np.ndarray, "n"]
    levels: Float[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]

    def below(self, threshold: float) -> Bool[np.ndarray, "n"]:
        return (self.distance < threshold) | (self.levels < SAME)


@dataclass(frozen=True, eq=False)
class Copies:
    """Per sample: `nearest`, the nearest product's id, the verdict. Over all: how the verdict was calibrated."""

    nearest: Nearest
    ids: np.ndarray  # of the nearest training product, unicode [n]
    copied: Bool[np.ndarray, "n"]
    threshold: float
    calibration: dict


def find_copies(images: UInt8[Array, "n h w 3"], prepared: PreparedSet, *, seed: int = 0) -> Copies:
    """The nearest training product of each sample, and whether the sample is a copy of it.

    images: uint8 of the prepared set's size. seed: which training pictures are planted, and their noise.
    """
    check_images(images, prepared.size)
    train, rng = prepared.split("train"), np.random.default_rng(seed)
    base = describe(train.images)
    held, unseen = (prepared.split(name).images[:MOST_HELD_OUT] for name in ("validation", "test"))
    threshold, same = calibrate(held, base)
    rows = rng.choice(len(train), min(PLANTED, len(train)), replace=False)
    planted = {kind: find_nearest(copy, base) for kind, copy in plant(train.images[np.sort(rows)], rng).items()}
    fresh = find_nearest(unseen, base) if len(unseen) else None
    found = find_nearest(images, base)
    calibration = {
        "held_out": len(held),
        "held_out_same_photo": same,
        "false_alarms": None if fresh is None else share_below(fresh, threshold),
        "false_alarms_of": len(unseen),
        "planted_recall": {kind: float(seen.below(threshold).mean()) for kind, seen in planted.items()},
        "planted_of_each": len(rows),
        "promised": list(PROMISED),
    }
    return Copies(found, train.ids[found.row], found.below(threshold), threshold, calibration)


def summary(copies: Copies, closest: int = 20, rows: Sequence[int] | None = None) -> dict:
    """For a record: the share of copies, its interval, the calibration, the flagged and the closest samples.

    rows: the samples' rows in the file that they come from; in order if None.
    """
    order = np.argsort(copies.nearest.distance, kind="stable")
    said = [verdict(copies, int(i), None if rows is None else int(rows[i])) for i in order]
    hits, n = int(copies.copied.sum()), len(copies.copied)
    return {
        "copies": hits,
        "of": n,
        "rate": hits / n,
        "rate_interval": wilson(hits, n),
        "threshold": copies.threshold,
        **copies.calibration,
        "closest": said[:closest],
        "flagged": [at for at in said if at["copy"]],
    }


def verdict(copies: Copies, sample: int, row: int | None = None) -> dict:
    """What is known of one sample. row: the number to name it by, if that is another."""
    near = copies.nearest
    return {
        "sample": sample if row is None else row,
        "id": str(copies.ids[sample]),
        "distance": round(float(near.distance[sample]), 4),
        "levels": round(float(near.levels[sample]), 2),
        "mirrored": bool(near.mirrored[sample]),
        "copy": bool(copies.copied[sample]),
    }


def calibrate(held: UInt8[Array, "n h w 3"], base: Float[np.ndarray, "m d"]) -> tuple[float, int]:
    """(the threshold, held-out pictures left aside because the training set has the same photo)."""
    if len(held) == 0:
        return 0.0, 0  # nothing to calibrate with: only the same photo counts as a copy
    near = find_nearest(held, base)
    distinct = near.levels >= SAME
    threshold = np.quantile(near.distance[distinct], ALARMS, method="lower") if distinct.any() else 0.0
    return float(threshold), int((~distinct).sum())


def share_below(near: Nearest, threshold: float) -> float:
    """Share of alarms among pictures that are not themselves in the training set."""
    distinct = near.levels >= SAME
    return float((near.below(threshold) & distinct).sum() / max(distinct.sum(), 1))


# --- nearest products ---------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames="zoom")
def coarse(images: UInt8[Array, "b h w 3"], zoom: float = 1.0) -> Float[Array, "b d"]:
    """Luminance in 16 x 16 cells, color in 4 x 4, in levels of 255 over the root of their number; fewer below 32 px.
    A level of color counts half.

    zoom below 1 shows the picture smaller, in a frame of its own border's color.
    """
    size = images.shape[1]

    def cells(x: Float[Array, "b h w c"], side: int) -> Float[Array, "b d"]:
        border = jnp.concatenate([x[:, 0], x[:, -1], x[:, 1:-1, 0], x[:, 1:-1, -1]], axis=1)
        frame = jnp.median(border, axis=1)[:, None, None]
        shape, scale, move = (len(x), side, side, x.shape[-1]), side / size * zoom, side * (1 - zoom) / 2
        both = jnp.full(2, scale), jnp.full(2, move)
        small = jax.image.scale_and_translate(x - frame, shape, (1, 2), *both, "linear", antialias=True) + frame
        return small.reshape(len(x), -1) / side

    x = images.astype(jnp.float32)
    luma = (x @ LUMA)[..., None]
    luma_side, color_side = sides(size)
    return jnp.concatenate([cells(luma, luma_side), COLOR_WEIGHT * cells(x - luma, color_side)], axis=1)


def sides(size: int) -> tuple[int, int]:
    """Cells on a side, of luminance and of color, for pictures of so many pixels."""
    return min(LUMA_CELLS, size // LUMA_PIXELS), min(COLOR_CELLS, max(1, size // COLOR_PIXELS))


def describe(images: UInt8[Array, "n h w 3"], zoom: float = 1.0) -> Float[np.ndarray, "n d"]:
    """`coarse` of all pictures."""
    return np.concatenate([np.asarray(coarse(full, zoom))[:n] for full, n in blocks_of(images, BLOCK)])


def middle(size: int) -> Float[np.ndarray, "d"]:
    """Weights that leave the outermost luminance cells out, and keep distances in levels.

    What was cropped from a copy is gone: a copy that is shown smaller again can agree with its product inside alone.
    """
    luma, color = sides(size)
    inside = np.zeros((luma, luma), np.float32)
    inside[1:-1, 1:-1] = luma / (luma - 2)
    return np.concatenate([inside.ravel(), np.ones(3 * color**2, np.float32)])


def find_nearest(images: UInt8[Array, "n h w 3"], base: Float[np.ndarray, "m d"], block: int = BLOCK) -> Nearest:
    """Nearest training pictures, mirrored or not, whole or with a crop undone: whichever is most like a copy.

    base: `describe` of the training pictures.
    """
    center, k = base.mean(0), min(NEIGHBORS, len(base))
    spaces = []
    for zoom, weights in ((1.0, np.ones(base.shape[1], np.float32)), (UNCROP, middle(images.shape[1]))):
        space = (base - center) * weights
        spaces.append((zoom, weights, space, (space * space).sum(1)))

    def look(part: UInt8[np.ndarray, "b h w 3"]) -> Nearest:
        views = []
        for mirrored in (False, True):
            side = part[:, :, ::-1] if mirrored else part
            for zoom, weights, space, norms in spaces:
                row, levels, around = neighborhood((describe(side, zoom) - center) * weights, space, norms, k)
                views.append(Nearest(row, np.full(len(part), mirrored), levels, levels / (around + SAME)))
        best = np.argmin([view.distance for view in views], axis=0), np.arange(len(part))
        return Nearest(*(np.stack([getattr(view, f.name) for view in views])[best] for f in fields(Nearest)))

    parts = [look(np.asarray(images[i : i + block])) for i in range(0, len(images), block)]
    return Nearest(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Nearest)))


def neighborhood(
    x: Float[np.ndarray, "b d"], base: Float[np.ndarray, "m d"], norms: Float[np.ndarray, "m"], k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(nearest row, its distance, mean distance of the k nearest), each [b].

    In NumPy, whose partition is 3 times faster than XLA's top_k on CPU.
    """
    table = norms - 2 * x @ base.T + (x * x).sum(1)[:, None]
    near = np.sqrt(np.partition(table, k - 1, axis=1)[:, :k].clip(0))
    return table.argmin(1), near.min(1), near.mean(1)
