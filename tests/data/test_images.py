import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.images import save_png, sheet, square, to_rgb, to_signed, to_uint8

ALL = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_all_256_values_come_back_exactly_and_stay_the_same_kind(kind):
    signed = to_signed(kind(ALL))
    assert signed.dtype == np.float32 and isinstance(signed, jax.Array) == (kind is jnp.asarray)
    assert float(signed.min()) == -1 and float(signed.max()) == 1
    assert np.array_equal(to_uint8(signed), ALL) and type(to_uint8(signed)) is type(signed)


def test_values_out_of_range_are_clipped():
    assert to_uint8(np.array([-3.0, 0.0, 7.0])).tolist() == [0, 128, 255]


def test_padding_has_the_color_of_the_border_and_the_product_stays_centered():
    image = Image.new("RGB", (20, 40), (200, 210, 220))
    image.paste((0, 0, 0), (5, 10, 15, 30))
    pixels = square(image, 40)
    assert pixels.shape == (40, 40, 3) and pixels.dtype == np.uint8
    assert (pixels[:, :10] == (200, 210, 220)).all() and (pixels[:, 30:] == (200, 210, 220)).all()
    assert (pixels[10:30, 15:25] == 0).all()


def test_a_square_photo_of_the_right_size_is_not_touched(photo):
    image = photo(1, 32, 32)
    assert np.array_equal(square(image, 32), np.asarray(image))


def test_every_mode_becomes_the_same_rgb():
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    wanted = np.repeat(grey[..., None], 3, 2)
    plain = Image.fromarray(grey)
    for image in (plain, plain.convert("P"), plain.convert("RGB"), plain.convert("RGBA"), plain.convert("CMYK")):
        assert np.abs(np.asarray(to_rgb(image)).astype(int) - wanted).max() <= 1, image.mode
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode.startswith("I;16") and np.array_equal(np.asarray(to_rgb(deep)), wanted)


def test_transparency_shows_white():
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 10, 20))
    pixels = np.asarray(to_rgb(image))
    assert (pixels[:, :10] == (0, 0, 255)).all() and (pixels[:, 10:] == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.info["transparency"] = 0
    assert (np.asarray(to_rgb(palette)) == 255).all()


def test_sheet_places_pictures_in_reading_order():
    pictures = np.stack([np.full((2, 3, 3), v, np.uint8) for v in (10, 20, 30)])
    grid = sheet(pictures, columns=2, gap=1)
    assert grid.shape == (5, 7, 3)
    assert grid[0, 0, 0] == 10 and grid[0, 4, 0] == 20 and grid[3, 0, 0] == 30
    assert (grid[2] == 255).all() and (grid[3:, 3:] == 255).all()
    assert sheet(pictures, columns=3, gap=0).shape == (2, 9, 3)


def test_save_png_is_lossless_and_makes_its_folder(tmp_path, photo):
    save_png(tmp_path / "new" / "a.png", np.asarray(photo(3)))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), np.asarray(photo(3)))
