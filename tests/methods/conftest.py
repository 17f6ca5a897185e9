"""What tests of methods share: a set whose pictures say by their color what they are."""

import numpy as np
import pytest

COLORS = np.array([(200, 20, 20), (20, 20, 200)])


@pytest.fixture(scope="session")
def two_colors(write, tmp_path_factory):
    """Plain pictures of two colors, a little uneven."""
    rng = np.random.default_rng(0)

    def part(n):
        colors = rng.integers(0, 2, n)
        images = COLORS[colors][:, None, None] + rng.integers(-8, 9, (n, 8, 8, 3))
        return images.astype(np.uint8), {"colour": colors}

    splits = {"train": part(256), "validation": part(32), "test": part(32)}
    return write(tmp_path_factory.mktemp("colors") / "set", splits, {"colour": ("red", "blue")})


@pytest.fixture(scope="session")
def off_color():
    """off_color(images) -> [n 2]: the mean distance of each picture's pixels from red and from blue, levels of 255."""
    return lambda images: np.abs(images.astype(float)[..., None, :] - COLORS).mean((1, 2, 4))
