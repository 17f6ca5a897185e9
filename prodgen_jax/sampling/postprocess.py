"""Pictures made ready for a shop: without noise, cropped to the product, of one size, on a plain ground (S12).

No model has a part in it. A stage leaves alone what already is as it would make it, so that finishing a finished
picture changes nothing, to the byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageColor
from scipy import ndimage

from prodgen_jax.data.foreground import ring, silhouette
from prodgen_jax.data.images import border_color, square
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.edit import Photo, with_background

QUIET = 2.0  # levels of 255: noise of a smaller deviation is left alone
PATCH, REACH = 3, 7  # pixels: side of what is compared, and how far away the like is looked for
STRICT, FAR = 0.8, 5.0  # h over sigma; and the excess in h^2 from which a patch counts for nothing
TRIES = 6  # cuts of a photo before the last one is taken as it is
LEAST, MOST = 0.03, 0.45  # of the side that a margin may be: ground must be seen on all sides
NEAR = 0.03  # of the side: how far the product may lie from where it is wanted and be left alone
EDGE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # blind to slopes: Immerkaer 1996, eq. 1
BLOCK, CALM = 8, 0.9  # pixels of a block's side; the calmest tenth of blocks of noise alone, in its deviations
HALF = 0.583  # deviation of min(x, 0) for normal x: sqrt(1/2 - 1/(2 pi))


@dataclass(frozen=True)
class Finish:
    """What is to be done, in this order; what is left at its default is not."""

    denoise: bool = False  # take out noise, where there is any
    margin: float | None = None  # crop to a square with the product in its middle, and so much around it, 0.03 to 0.45
    size: int = 0  # side in pixels of a square picture; needs a margin, for a photo need not be square
    ground: str = ""  # the color behind the product, as `white` or `#f4f4f4`

    def __post_init__(self):
        """InputError where a number or a color cannot be."""
        if not (self.denoise or self.ground or self.size or self.margin is not None):
            raise InputError("nothing to do: ask for denoise, margin, size with a margin, or ground")
        if self.margin is not None and not LEAST <= self.margin <= MOST:
            raise InputError(f"margin={self.margin}: a share of the side, must lie in {LEAST} to {MOST}")
        if self.size < 0 or (self.size and self.margin is None):
            raise InputError(f"size={self.size}: must be 1 or more pixels, and needs a margin: say margin=0.05")
        if self.ground:
            try:
                ImageColor.getrgb(self.ground)
            except ValueError as error:
                raise InputError(f"ground={self.ground}: no color; say white, or #rrggbb") from error


def finish(photos: Sequence[Photo], how: Finish) -> list[Photo]:
    """Each photo, finished: denoised, cropped and resized, and set before the ground, as `how` says."""
    return [finished(photo, how) for photo in photos]


def finished(photo: Photo, how: Finish) -> Photo:
    if how.denoise:
        photo = denoised(photo)
    if how.margin is not None:
        photo = framed(photo, how.margin, how.size)
    return cleaned(photo, how.ground) if how.ground else photo


# --- noise --------------------------------------------------------------------------------------------------------


def noise_level(photo: Photo) -> float:
    """The deviation of a photo's noise in levels of 255.

    By the second difference of Immerkaer 1996, which is blind to whatever changes evenly, in blocks of 8 x 8 pixels, of
    which the calmest tenth counts, since a product's pattern is no noise. Where white cuts the noise in half, as on the
    ground of most shop photos, what is left of it has `HALF` of its deviation.
    """
    rough = np.abs(ndimage.convolve(photo.astype(np.float32), EDGE[..., None])).mean(-1)
    cut = ((photo == 255) | (photo == 0)).any(-1)
    height, width = (max(n // BLOCK, 1) for n in photo.shape[:2])
    sizes = [n // parts for n, parts in zip(photo.shape[:2], (height, width), strict=True)]

    def blocks(values: np.ndarray) -> np.ndarray:
        whole = values[: height * sizes[0], : width * sizes[1]]
        return whole.reshape(height, sizes[0], width, sizes[1]).mean((1, 3))

    found = np.sqrt(np.pi / 2) / np.linalg.norm(EDGE) * blocks(rough) / np.where(blocks(cut) > 0.25, HALF, 1)
    return float(np.percentile(found, 10)) / CALM


def denoised(photo: Photo) -> Photo:
    """Without its noise, if it has any to speak of (`QUIET`)."""
    sigma = noise_level(photo)
    return photo if sigma < QUIET else np.rint(nonlocal_means(photo, sigma)).clip(0, 255).astype(np.uint8)


def nonlocal_means(photo: UInt8[np.ndarray, "h w c"], sigma: float) -> Float[np.ndarray, "h w c"]:
    """Each pixel as a mean of the pixels around it whose surroundings look like its own (Buades 2005).

    sigma: deviation of the noise in levels. The squared difference of two patches is expected to be 2 sigma^2 from
    noise alone; with what is above that, the excess, a pixel weighs exp(-excess / h^2), h = 0.8 sigma.
    """
    wide = photo.astype(np.float32)
    around = np.pad(wide, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")
    total, weights = np.zeros_like(wide), np.zeros(wide.shape[:2], np.float32)
    height, width = weights.shape
    for top in range(2 * REACH + 1):
        for left in range(2 * REACH + 1):
            other = around[top : top + height, left : left + width]
            apart = ndimage.uniform_filter(((wide - other) ** 2).mean(-1), PATCH, mode="reflect")
            excess = np.maximum(apart - 2 * sigma**2, 0) / (STRICT * sigma) ** 2
            weight = np.where(excess < FAR, np.exp(-excess), 0)
            total += weight[..., None] * other
            weights += weight
    return total / weights[..., None]


# --- frame, and ground --------------------------------------------------------------------------------------------


def framed(photo: Photo, margin: float, size: int) -> Photo:
    """A square with the product in its middle, and its longer side filling all but a margin on both ends.

    size: side in pixels; 0 keeps the product's own pixels. What lies beyond the photo has the color of its border. A
    picture that is so already, to 3 % of its side, is left alone. Where the product looks larger or smaller once it is
    resampled, the photo is cut again, until it fits. Without a product the photo is made square.
    """
    made, corner, scale = photo, (0, 0), 1.0  # the picture, and where and how large its pixels are in the photo
    for _ in range(TRIES):
        product = silhouette(made)
        if not product.any():
            return square(Image.fromarray(photo), size or max(photo.shape[:2]))
        box = [ends(product.any(axis)) for axis in (1, 0)]
        side = max(last - first for first, last in box) / (1 - 2 * margin)
        center = [(first + last) / 2 for first, last in box]
        if fits(made, side, center, size):
            return made
        whole = max(1, round(side * scale))
        corner = [round(at + scale * middle - whole / 2) for at, middle in zip(corner, center, strict=True)]
        made = square(Image.fromarray(cut(photo, *corner, whole)), size or whole)
        scale = whole / len(made)
    return made


def fits(picture: Photo, side: float, center: list[float], size: int) -> bool:
    """Whether a square of `side` pixels around `center` is this picture, to 3 % of its side."""
    height, width = picture.shape[:2]
    off = max(abs(side - width), *(abs(at - width / 2) for at in center)) / width
    return height == width and size in (0, width) and off <= NEAR


def ends(line: np.ndarray) -> tuple[int, int]:
    """The first True, and the place after the last."""
    places = np.flatnonzero(line)
    return int(places[0]), int(places[-1]) + 1


def cut(photo: Photo, top: int, left: int, side: int) -> Photo:
    """A square of the photo, which may reach beyond it."""
    found = np.empty((side, side, 3), np.uint8)
    found[:] = border_color(photo)
    rows, columns = (slice(max(at, 0), min(at + side, n)) for at, n in zip((top, left), photo.shape[:2], strict=True))
    found[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = photo[rows, columns]
    return found


def cleaned(photo: Photo, ground: str) -> Photo:
    """The product, byte for byte, before an even color. Where half of the border has just that color, the photo is left
    alone: to look for ground again would take a white product for it, bit by bit."""
    there = (ring(photo[None]) == ImageColor.getrgb(ground)[:3]).all(-1).mean()
    return photo if there >= 0.5 else with_background(photo, ground)
