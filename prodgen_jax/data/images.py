"""Pictures at the door: any photo to square uint8 RGB, uint8 to signed floats and back, contact sheets.

Inside the package a picture is float32 in [-1, 1]; on disk and on the device's shelf it is uint8 in [0, 255]. The two
conversions below are the only places where one becomes the other.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageOps

from prodgen_jax.data.origin import Origin

RGB = 3
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # modes that Pillow would clip, not scale, to 8 bits


def to_signed(u8: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """[0, 255] uint8 to float32 in [-1, 1]. NumPy in, NumPy out; a JAX array in, a JAX array out."""
    return u8.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(signed: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """Floats in [-1, 1] to [0, 255] uint8, rounded and clipped: the exact inverse of `to_signed` for all 256 values."""
    return ((signed + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any photo as upright 8-bit RGB: EXIF rotation applied, 16-bit scaled, transparency composited on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode in SIXTEEN_BIT:
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def border_color(pixels: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int, int]:
    """The median color of the outermost ring of pixels: a shop photo's own background."""
    ring = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    middle = np.partition(ring, len(ring) // 2, axis=0)[len(ring) // 2]
    return tuple(int(v) for v in middle)


def square(image: Image.Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """A photo as `size` x `size` RGB: padded to a square with its own border color, then Lanczos-resampled."""
    image = to_rgb(image)
    side = max(image.size)
    if image.size != (side, side):
        padded = Image.new("RGB", (side, side), border_color(np.asarray(image)))
        padded.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = padded
    if side != size:  # reducing_gap box-averages first where a photo is far larger than asked for
        image = image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.array(image)


def sheet(
    images: UInt8[np.ndarray, "n h w 3"], columns: int | None = None, gap: int = 1
) -> UInt8[np.ndarray, "rows cols 3"]:
    """A contact sheet in reading order, `gap` white pixels between pictures; unfilled places are white."""
    images = np.asarray(images)
    n, h, w, channels = images.shape
    columns = columns or max(1, math.ceil(math.sqrt(n)))
    lines = max(1, math.ceil(n / columns))
    cells = np.full((lines * columns, h + gap, w + gap, channels), 255, np.uint8)
    cells[:n, :h, :w] = images
    grid = cells.reshape(lines, columns, h + gap, w + gap, channels).transpose(0, 2, 1, 3, 4)
    whole = grid.reshape(lines * (h + gap), columns * (w + gap), channels)
    return whole[: len(whole) - gap, : whole.shape[1] - gap]  # no gap after the last line and column


def save_png(path: str | Path | BinaryIO, u8: UInt8[np.ndarray, "h w 3"], origin: Origin | None = None) -> None:
    """Write one picture as PNG, making its folder. origin: where it comes from, said in the file."""
    if isinstance(path, str | Path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(u8)).save(path, format="PNG", pnginfo=origin and origin.chunks())


def blocks_of(images: UInt8[Array, "n h w 3"], block: int) -> Iterator[tuple[UInt8[np.ndarray, "b h w 3"], int]]:
    """(a block of pictures, how many of them are any): the last is filled up, so that one compilation does for all."""
    for start in range(0, len(images), block):
        part = np.asarray(images[start : start + block])
        full = np.zeros((block, *part.shape[1:]), part.dtype)
        full[: len(part)] = part
        yield full, len(part)
