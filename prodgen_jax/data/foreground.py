"""Which pixels of a shop photo are the product: those that differ from the ground that its border shows."""

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

SAME = 2  # levels of 255 within which a pixel is the ground
EVEN = 0.4  # levels from one pixel to the next within which a ground is even
APART = 24  # levels of 255 from the border's median color that make a pixel part of the product


def ring(images: UInt8[np.ndarray, "b h w 3"]) -> UInt8[np.ndarray, "b m 3"]:
    """The outermost pixels of each picture."""
    return np.concatenate([images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1)


def foreground(images: UInt8[np.ndarray, "b h w 3"], apart: int = APART) -> Bool[np.ndarray, "b h w"]:
    """True where a channel is more than `apart` levels from the median of the picture's border."""
    ground = np.median(ring(images), axis=1)[:, None, None]
    return (np.abs(images - ground) > apart).any(-1)


def windows(image: UInt8[np.ndarray, "h w 3"], holes: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Those holes through which the ground is seen: half of their pixels are within 2 levels of it, or, where light
    falls off towards the border, nearly of its color and without any pattern."""
    parts, n = ndimage.label(holes)
    if not n:
        return holes
    places, wide = np.arange(n + 1), image.astype(np.float32)
    off = np.abs(wide - np.median(ring(image[None]), axis=1)).max(-1)
    light = np.pad(wide.mean(-1), (0, 1), mode="edge")
    rough = np.abs(np.diff(light, axis=0))[:, :-1] + np.abs(np.diff(light, axis=1))[:-1]
    near, even = (ndimage.median(x, parts, places) for x in (off, rough))
    seen = (near <= SAME) | ((near <= APART / 2) & (even <= EVEN))
    seen[0] = False
    return seen[parts]


def silhouette(image: UInt8[np.ndarray, "h w 3"], apart: int = APART) -> Bool[np.ndarray, "h w"]:
    """The product in one piece: its foreground, with what it encloses and without specks.

    A white shirt on white has holes in its foreground, and most of them lie within its outline; what is seen through
    the handle of a bag is the ground itself, to a few levels.
    """
    found = foreground(image[None], apart)[0]
    closed = ndimage.binary_closing(np.pad(found, 2), iterations=2)[2:-2, 2:-2] | found
    filled = ndimage.binary_fill_holes(closed)
    whole = filled & ~windows(image, filled & ~closed)
    parts, n = ndimage.label(whole)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return (sizes >= 0.05 * sizes.max())[parts] & whole if n else whole
