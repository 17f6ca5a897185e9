"""A small shop on disk: photos that differ clearly from each other, and a product list that names them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

TYPES = ("shirt", "shoe", "bag")
COLORS = ("red", "blue")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("PRODGEN_PROGRESS", "0")


@pytest.fixture(scope="session")
def photo():
    """photo(i, width, height): smooth random blotches, another picture for each i."""

    def make(i, width=48, height=64):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 5, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture(scope="session")
def packed():
    """packed(image, format, **options) -> the file's bytes."""

    def pack(image, kind="JPEG", **options):
        data = io.BytesIO()
        image.save(data, kind, **options)
        return data.getvalue()

    return pack


@pytest.fixture
def shop(tmp_path, photo):
    """shop(n, rows=[...], header=...): tmp_path/shop/products.csv and images/; returns the list's path."""

    def build(n=24, rows=(), name="shop"):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        listed = [[f"p{i}", f"p{i}.png", TYPES[i % 3], COLORS[i % 2], f"Nice thing {i}"] for i in range(n)]
        for i in range(n):
            photo(i).save(folder / "images" / f"p{i}.png")
        with open(folder / "products.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", "image", "type", "colour", "name"], *listed, *rows])
        return folder / "products.csv"

    return build
