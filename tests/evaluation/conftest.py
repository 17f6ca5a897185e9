"""A small prepared set of drawn shapes, and its feature network, shared by the tests of this folder."""

import numpy as np
import pytest

from prodgen_jax.evaluation.features import feature_network

SIZE, FINER = 16, 4  # pixels; subpixels on a pixel's side
ATTRIBUTES = {"shape": ["disc", "square", "bar"], "colour": ["red", "green", "blue", "black"], "serial": []}
PALETTE = np.array([[200, 40, 40], [40, 160, 60], [40, 60, 200], [30, 30, 30]])


def draw(shape: int, colour: int, rng: np.random.Generator) -> np.ndarray:
    """One uint8 [16 16 3] picture on white: place, size, shade and texture are random."""
    y, x = np.mgrid[0 : SIZE : 1 / FINER, 0 : SIZE : 1 / FINER] - (SIZE / 2 + rng.uniform(-3, 3, (2, 1, 1)))
    r = rng.uniform(3, 6)
    inside = (x**2 + y**2 < r**2, np.maximum(abs(x), abs(y)) < r, (abs(x) < r / 2.5) & (abs(y) < 1.6 * r))[shape]
    ink = PALETTE[colour] + rng.normal(0, 20, 3) + rng.normal(0, 5, (SIZE, SIZE, 1))
    cover = inside.reshape(SIZE, FINER, SIZE, FINER).mean((1, 3))[..., None]  # soft edges
    return (cover * ink + (1 - cover) * 250).clip(0, 255).astype(np.uint8)


def draw_split(n: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    shape, colour = rng.integers(0, 3, n), rng.integers(0, 4, n)
    images = np.stack([draw(s, c, rng) for s, c in zip(shape, colour, strict=True)])
    colour[::10] = -1  # missing
    return images, {"shape": shape, "colour": colour, "serial": np.full(n, -1)}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, write):
    rng = np.random.default_rng(0)
    splits = {name: draw_split(n, rng) for name, n in (("train", 1200), ("validation", 400), ("test", 400))}
    return write(tmp_path_factory.mktemp("set"), splits, ATTRIBUTES)


@pytest.fixture(scope="session")
def network(prepared):
    return feature_network(prepared, steps=120)


@pytest.fixture(scope="session")
def fresh():
    """400 pictures that no split holds."""
    return draw_split(400, np.random.default_rng(99))[0]
