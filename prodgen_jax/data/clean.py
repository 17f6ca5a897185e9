"""One photo under examination: decoded, squared and described, or refused with its reason."""

import hashlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from prodgen_jax.data.images import square, to_rgb

SMALLEST_SIDE = 16  # pixels
MOST_PIXELS = 50_000_000  # a header that claims more is not decoded: it may be a decompression bomb
BLANK_RANGE = 4  # of 255: a photo whose channels vary by no more shows nothing (JPEG noise is within it)
THUMB = 32  # side of the picture that near-duplicates are compared by, whatever the prepared size
DRAFT = 256  # up to this prepared size, a large JPEG is decoded at one and the same scale
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # what shops use; none that runs a program


class BadPhoto(Exception):
    """`BadPhoto(reason, detail="")`: why a photo is dropped."""

    @property
    def reason(self) -> str:
        return self.args[0]

    @property
    def detail(self) -> str:
        return self.args[1] if len(self.args) > 1 else ""


class Photo(NamedTuple):
    """pixels uint8 [size size 3], thumb uint8 [THUMB THUMB 3], digest of the photo's full-size pixels."""

    pixels: np.ndarray
    thumb: np.ndarray
    digest: bytes


def decode(data: bytes, size: int) -> Image.Image:
    """A photo's bytes as upright RGB, at its own size or, a large JPEG, at 1/2 to 1/8 of it but twice DRAFT or more.

    BadPhoto if it is no image, corrupt, too large or too small; the size is read from the header before decoding.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs beyond its own limit; ours is checked below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(image)
            image.draft(None, (2 * max(size, DRAFT),) * 2)
            image.load()
            return to_rgb(image)
    except BadPhoto:
        raise
    except Image.DecompressionBombError as error:
        raise BadPhoto("photo too large", str(error)) from error
    except UnidentifiedImageError as error:
        raise BadPhoto("not an image") from error
    except Exception as error:  # decoders raise almost anything on damaged data; the row is dropped and listed
        raise BadPhoto("corrupt photo", f"{type(error).__name__}: {error}") from error


def examine(image: Image.Image, size: int) -> Photo:
    """An RGB photo squared to `size`, with what is needed to tell copies. BadPhoto if it is blank."""
    if all(high - low <= BLANK_RANGE for low, high in image.getextrema()):
        raise BadPhoto("blank photo")
    digest = hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).digest()
    pixels = square(image, size)
    return Photo(pixels, pixels if size == THUMB else square(image, THUMB), digest)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadPhoto("photo too large", f"{width} x {height} pixels")
    if min(width, height) < SMALLEST_SIDE:
        raise BadPhoto("photo too small", f"{width} x {height} pixels")
