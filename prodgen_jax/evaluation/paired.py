"""Measures of a picture against the one picture it should have been: PSNR, SSIM and color.

They exist for paired tasks alone: super-resolution, colorization, reconstruction, inpainting. A picture drawn from
noise has no target, so an unconditional generator has no PSNR and no SSIM; compare such sets with `sets`.
"""

from collections.abc import Sequence

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from prodgen_jax.errors import InputError

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of linear sRGB
EQUAL_DB = 10 * np.log10(12 * 255**2)  # of the error that rounding makes, uniform within a level: variance 1/12
WINDOW = 11  # pixels: SSIM's Gaussian window at sigma 1.5
BLOCK = 512  # pictures compared at a time
Images = UInt8[Array, "n h w c"] | Float[Array, "n h w c"]


def unit(images: Images, name: str) -> Float[np.ndarray, "n h w c"]:
    """uint8 in [0, 255] or floats in [0, 1] -> float64 in [0, 1]; anything else is refused by name."""
    images = np.asarray(images)
    if images.ndim != 4 or len(images) == 0:
        raise InputError(f"{name}: shape {images.shape}, expected a non-empty [n h w c]")
    if images.dtype == np.uint8:
        return images / 255.0
    if not np.issubdtype(images.dtype, np.floating) or not (images.min() >= 0 and images.max() <= 1):
        raise InputError(f"{name}: {images.dtype}, expected uint8 or finite floats in [0, 1]")
    return images.astype(np.float64)


def unit_pair(a: Images, b: Images) -> tuple[Float[np.ndarray, "n h w c"], Float[np.ndarray, "n h w c"]]:
    """Both sets in [0, 1], after checking that they can be pairs at all."""
    a, b = unit(a, "a"), unit(b, "b")
    if a.shape != b.shape:
        raise InputError(f"a {a.shape} and b {b.shape} are not pairs: PSNR and SSIM need one target for each picture")
    return a, b


def psnr(a: Images, b: Images) -> Float[np.ndarray, "n"]:
    """Peak signal-to-noise ratio of each pair in dB, infinite where they are equal.

    a, b: uint8, or floats in [0, 1]; row i of both must show the same thing, which only the caller can know: where
    pictures have ids, use `compare`. InputError if the shapes differ.
    """
    a, b = unit_pair(a, b)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(np.mean((a - b) ** 2, axis=(1, 2, 3)))


@jax.jit
def ssim_block(a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]) -> Float[Array, "n"]:
    return dm_pix.ssim(a, b, max_val=1.0, filter_size=WINDOW, filter_sigma=1.5)


def ssim(a: Images, b: Images) -> Float[np.ndarray, "n"]:
    """Structural similarity of each pair, 1 where they are equal (Wang 2004, Gaussian window of sigma 1.5).

    Arguments and errors as `psnr`'s; pictures smaller than the window of 11 pixels are refused.
    """
    a, b = unit_pair(a, b)
    if min(a.shape[1:3]) < WINDOW:
        raise InputError(f"SSIM needs pictures of {WINDOW} pixels or more, got {a.shape[1]} x {a.shape[2]}")
    starts = range(0, len(a), BLOCK)
    blocks = [ssim_block(jnp.asarray(a[i : i + BLOCK]), jnp.asarray(b[i : i + BLOCK])) for i in starts]
    return np.concatenate([np.asarray(block) for block in blocks])


def lab(x: Float[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h w 3"]:
    """CIE L*a*b* of sRGB in [0, 1], white point D65 (IEC 61966-2-1, CIE 15)."""
    linear = np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)
    xyz = linear @ TO_XYZ.T / TO_XYZ.sum(1)  # white is (1, 1, 1)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def color_error(a: Images, b: Images) -> Float[np.ndarray, "n"]:
    """Mean distance of each pair's pixels in CIE L*a*b* (CIE76's delta E): 2.3 can just be seen, 100 is black to white.

    Arguments and errors as `psnr`'s.
    """
    a, b = unit_pair(a, b)
    starts = range(0, len(a), BLOCK)
    parts = [lab(a[i : i + BLOCK]) - lab(b[i : i + BLOCK]) for i in starts]
    return np.concatenate([np.linalg.norm(part, axis=-1).mean((1, 2)) for part in parts])


def compare(a: Images, b: Images, ids_a: Sequence[str], ids_b: Sequence[str]) -> dict[str, float]:
    """Mean PSNR (dB), SSIM and color error (CIE76) of two sets of pictures that carry ids, matched by id.

    The order may differ. A pair that is equal counts as 59 dB, no more than rounding to 8 bits would leave of it, so
    that one of them does not decide the mean. InputError if an id is repeated, or stands on one side only: such sets
    are not paired.
    """
    rows_a, rows_b = index_of(ids_a, a, "a"), index_of(ids_b, b, "b")
    alone = sorted(rows_a.keys() ^ rows_b.keys())
    if alone:
        raise InputError(f"unpaired: {len(alone)} ids stand on one side only, such as '{alone[0]}'; there is no PSNR")
    b = np.asarray(b)[[rows_b[key] for key in rows_a]]
    measures = {"psnr_db": lambda a, b: np.minimum(psnr(a, b), EQUAL_DB), "ssim": ssim, "color_error": color_error}
    return {"n": len(rows_a), **{name: float(np.mean(measured(a, b))) for name, measured in measures.items()}}


def index_of(ids: Sequence[str], images: Images, name: str) -> dict[str, int]:
    """{id: row}; InputError unless there is one distinct id for each picture."""
    rows = {str(key): row for row, key in enumerate(ids)}
    if len(rows) != len(ids) or len(ids) != len(images):
        raise InputError(f"{name}: {len(images)} pictures, {len(ids)} ids, {len(rows)} of them distinct")
    return rows
