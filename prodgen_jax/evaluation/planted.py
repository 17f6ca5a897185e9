"""Copies made on purpose, of eight kinds, to count how many a copy detector finds (E7)."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Array, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

NOISE = 3.0  # levels of 255
BLUR = 0.03  # standard deviation, share of the side: a pixel of 32
CROP = 1 / 32  # share of the side cut off at each edge
HUES = 256  # steps of Pillow's color wheel
LEAST_TURN = 40  # of them, either way: red becomes orange or further off

Picture = UInt8[np.ndarray, "h w 3"]
PROMISED = ("exact", "mirrored", "noise", "jpeg", "jpeg60", "cropped")  # found 99 times in 100; the others as stated


def noisy(image: Picture, rng: np.random.Generator) -> Picture:
    return (image + rng.normal(0, NOISE, image.shape)).round().clip(0, 255).astype(np.uint8)


def recompress(image: Picture, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def cropped(image: Picture) -> Picture:
    """Its middle, as large as it was."""
    h, w = image.shape[:2]
    box = (CROP * w, CROP * h, (1 - CROP) * w, (1 - CROP) * h)
    return np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC, box=box))


def blurred(image: Picture) -> Picture:
    sigma = BLUR * image.shape[0]
    return gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest").round().astype(np.uint8)


def recolored(image: Picture, rng: np.random.Generator) -> Picture:
    """All hues turned by one angle; white, gray and black stay."""
    hue, *rest = Image.fromarray(image).convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(rng.integers(LEAST_TURN, HUES - LEAST_TURN))  # the wheel closes at 256
    return np.asarray(Image.merge("HSV", [Image.fromarray(turned), *rest]).convert("RGB"))


KINDS: Mapping[str, Callable] = {
    "exact": lambda image, rng: image,
    "mirrored": lambda image, rng: image[:, ::-1],
    "noise": noisy,
    "jpeg": lambda image, rng: recompress(image, 90),
    "jpeg60": lambda image, rng: recompress(image, 60),
    "cropped": lambda image, rng: cropped(image),
    "blurred": lambda image, rng: blurred(image),
    "recolored": recolored,
}


def plant(images: UInt8[Array, "n h w 3"], rng: np.random.Generator) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    """Copies of each kind: the photo itself, mirrored, with noise of 3 levels, as JPEG of quality 90 and 60, its
    middle 15/16, blurred, and with its hues turned."""
    return {kind: np.stack([make(np.asarray(image), rng) for image in images]) for kind, make in KINDS.items()}
