import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.clean import THUMB, BadPhoto, decode, examine


def reason(data, size=32):
    with pytest.raises(BadPhoto) as bad:
        examine(decode(data, size), size)
    return bad.value.reason


def test_bombs_are_refused_by_their_header(png_header):
    assert reason(png_header(8_000, 8_000)) == "photo too large"
    assert reason(png_header(20_000, 20_000)) == "photo too large"


def test_each_defect_has_its_reason(photo, packed):
    whole = packed(photo(1, 200, 200), quality=95)
    assert reason(b"") == reason(b"just some text named .jpg") == reason(whole[:3]) == "not an image"
    assert reason(whole[: len(whole) // 2]) == "corrupt photo"
    assert reason(packed(photo(1, 15, 100))) == "photo too small"
    assert reason(packed(Image.new("RGB", (64, 64), "white"))) == "blank photo"
    assert reason(packed(Image.new("RGBA", (64, 64), (9, 9, 9, 0)), "PNG")) == "blank photo"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n") == "not an image"  # would start Ghostscript


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_usual_formats_decode(photo, packed, kind):
    image = photo(2)
    apart = np.asarray(decode(packed(image, kind), 32)).astype(int) - np.asarray(image)
    assert np.abs(apart).mean() < 8  # lossy, or 256 colors


def test_exif_rotation_is_applied(photo, packed):
    image = photo(4, 60, 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    turned = decode(packed(image, "PNG", exif=exif), 32)
    assert turned.size == (40, 60)
    assert np.array_equal(np.asarray(turned), np.asarray(image.transpose(Image.Transpose.ROTATE_270)))


def test_cmyk_and_grey_jpegs(photo, packed):
    grey = decode(packed(photo(5).convert("L")), 32)
    cmyk = decode(packed(photo(5).convert("CMYK"), quality=95), 32)
    assert grey.mode == cmyk.mode == "RGB"
    assert np.abs(np.asarray(cmyk).astype(int) - np.asarray(photo(5))).mean() < 8


def test_what_tells_copies_does_not_depend_on_the_prepared_size(photo, packed):
    data = packed(photo(6, 300, 300))
    small, large = (examine(decode(data, size), size) for size in (16, 64))
    assert small.pixels.shape == (16, 16, 3) and large.pixels.shape == (64, 64, 3)
    assert small.thumb.shape == (THUMB, THUMB, 3) and np.array_equal(small.thumb, large.thumb)
    assert small.digest == large.digest
