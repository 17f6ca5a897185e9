"""Has a sample been copied from the training set? Its nearest training product, and a verdict (E7).

Two pictures are compared as coarse luminance and coarser color, mirrored and not; that shrugs off noise and
recompression. A plain threshold fails, because simple products (a lipstick on white) are always near one another.
So the distance to the nearest product is divided by the mean over the 50 nearest, as Carlini 2023, sec. 4.2, does
for latents: a copy is far nearer to one product than to its neighborhood. The threshold comes from held-out
pictures, which cannot be copies; false alarms are then counted on other held-out pictures, and recall on planted
copies, so each report says how far it can be trusted.
"""

import io
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8
from PIL import Image

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.features import check_images

LUMA_CELLS, COLOR_CELLS = 16, 4  # cells on a side, at most
LUMA_PIXELS, COLOR_PIXELS = 2, 8  # pixels on a cell's side, at least: JPEG halves the color's resolution
NEIGHBORS = 50  # training pictures that make up a neighborhood
SAME = 2.0  # levels of 255, root mean square: closer than this it is the same photo, whatever the neighborhood
ALARMS = 0.005  # share of held-out pictures below the threshold; half of what is promised, since it is an estimate
MOST_HELD_OUT, PLANTED = 2000, 200  # pictures for calibration; copies planted of each kind
BLOCK = 256  # pictures compared with the whole training set at once
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


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
    }
    return Copies(found, train.ids[found.row], found.below(threshold), threshold, calibration)


def summary(copies: Copies, closest: int = 20) -> dict:
    """For a record: the number of copies, the calibration, and the closest samples with product, distance, verdict."""
    order = np.argsort(copies.nearest.distance, kind="stable")[:closest]
    return {
        "copies": int(copies.copied.sum()),
        "of": len(copies.copied),
        "threshold": copies.threshold,
        **copies.calibration,
        "closest": [verdict(copies, int(i)) for i in order],
    }


def verdict(copies: Copies, sample: int) -> dict:
    """What is known of one sample, by its row."""
    near = copies.nearest
    return {
        "sample": sample,
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


def plant(images: UInt8[np.ndarray, "n h w 3"], rng: np.random.Generator) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    """Copies of each kind: the photo itself, mirrored, with noise of 3 levels, recompressed as JPEG 90."""
    noise = images + rng.normal(0, 3, images.shape)
    return {
        "exact": images,
        "mirrored": images[:, :, ::-1],
        "noise": noise.round().clip(0, 255).astype(np.uint8),
        "jpeg": np.stack([recompress(image) for image in images]),
    }


def recompress(image: UInt8[np.ndarray, "h w 3"], quality: int = 90) -> UInt8[np.ndarray, "h w 3"]:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


# --- nearest products ---------------------------------------------------------------------------------------------


@jax.jit
def coarse(images: UInt8[Array, "b h w 3"]) -> Float[Array, "b d"]:
    """Luminance in 16 x 16 cells, color in 4 x 4, in levels of 255 over the root of their number; fewer below 32 px."""
    size = images.shape[1]

    def cells(x: Float[Array, "b h w c"], side: int) -> Float[Array, "b d"]:
        small = jax.image.resize(x, (len(x), side, side, x.shape[-1]), "linear", antialias=True)
        return small.reshape(len(x), -1) / side

    luma_side = min(LUMA_CELLS, size // LUMA_PIXELS)
    color_side = min(COLOR_CELLS, max(1, size // COLOR_PIXELS))
    x = images.astype(jnp.float32)
    luma = (x @ LUMA)[..., None]
    return jnp.concatenate([cells(luma, luma_side), cells(x - luma, color_side)], axis=1)


def describe(images: UInt8[Array, "n h w 3"]) -> Float[np.ndarray, "n d"]:
    """`coarse` of all pictures, in blocks."""
    return np.concatenate([np.asarray(coarse(np.asarray(images[i : i + 1024]))) for i in range(0, len(images), 1024)])


def find_nearest(images: UInt8[Array, "n h w 3"], base: Float[np.ndarray, "m d"], block: int = BLOCK) -> Nearest:
    """Nearest training pictures, mirrored or not. base: `describe` of the training pictures."""
    center = base.mean(0)
    base = base - center
    norms, k = (base * base).sum(1), min(NEIGHBORS, len(base))
    sides = [describe(pictures) - center for pictures in (images, images[:, :, ::-1])]
    parts = [neighborhood(*(x[i : i + block] for x in sides), base, norms, k) for i in range(0, len(images), block)]
    row, mirrored, levels, around = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Nearest(row, mirrored, levels, levels / (around + SAME))


def neighborhood(
    plain: Float[np.ndarray, "b d"], mirror: Float[np.ndarray, "b d"], base: np.ndarray, norms: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(nearest row, whether mirrored, its distance, mean distance of the k nearest), each [b].

    In NumPy, whose partition is 3 times faster than XLA's top_k on CPU.
    """
    tables = [norms - 2 * x @ base.T + (x * x).sum(1)[:, None] for x in (plain, mirror)]
    mirrored = tables[1].min(1) < tables[0].min(1)
    table = np.where(mirrored[:, None], tables[1], tables[0])
    row = table.argmin(1)
    near = np.sqrt(np.partition(table, k - 1, axis=1)[:, :k].clip(0))
    return row, mirrored, near.min(1), near.mean(1)
