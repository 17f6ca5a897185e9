"""What all tests share: silence, a cache of their own, a tiny prepared set and run, a small shop, other processes."""

import csv
import gc
import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.prepared import PreparedSet, open_prepared, write_meta, write_split
from prodgen_jax.deploy.site_run import COMPILE_FAST
from prodgen_jax.training.features import feature_network

ROOT = Path(__file__).resolve().parents[1]
TYPES, COLORS = ("shirt", "shoe", "bag"), ("red", "blue")
ATTRIBUTES = {"type": TYPES, "colour": COLORS}
DOMAINS = {"domain_a": "colour=red", "domain_b": "colour=blue"}
TINY = {
    "dcgan": {"latent": 4, "r1_every": 2, "stddev_group": 2},
    "cgan": {"latent": 4, "r1_every": 2, "stddev_group": 2},
    "wgan_gp": {"latent": 4, "n_critic": 2},
    "stylegan": {"latent": 4, "r1_every": 2, "stddev_group": 2, "mapping": 2},
    "progressive": {"latent": 4, "r1_every": 2, "stddev_group": 2, "phase": 2},
    "adagan": {"latent": 4, "r1_every": 2, "stddev_group": 2, "components": 2, "phase": 2, "judge": 1},
    "ae": {"latent": 4},
    "vae": {"latent": 4},
    "cvae": {"latent": 4},
    "vaegan": {"latent": 4, "r1_every": 2},
    "vqvae": {"codes": 8, "code": 4, "prior_width": 32, "prior_depth": 1},
    "ddpm": {"multipliers": (1,), "attend": (0,), "timesteps": 20, "sample_steps": 4, "warmup": 1},
    "edm": {"multipliers": (1,), "attend": (0,), "sample_steps": 3, "warmup": 1},
    "flow": {"multipliers": (1,), "attend": (0,), "sample_steps": 3, "warmup": 1},
    "latent": {"multipliers": (1,), "attend": (0,), "sample_steps": 3, "warmup": 1, "first_stage": 1, "code_width": 8},
    "unclip": {
        **{"multipliers": (1,), "attend": (0,), "sample_steps": 3, "warmup": 1, "first_stage": 1, "tower_width": 8},
        **{"embedding": 16, "text_width": 32, "text_depth": 1, "prior_width": 32, "prior_depth": 1},
    },
    "pix2pix": {"multipliers": (1,), "attend": (0,), "critic_width": 4, "warmup": 1},
    "pix2pixhd": {"multipliers": (1,), "attend": (0,), "critic_width": 4, "warmup": 1},
    "srgan": {"multipliers": (1,), "attend": (0,), "critic_width": 4, "warmup": 1},
    "cyclegan": {"multipliers": (1,), "attend": (0,), "critic_width": 4, "warmup": 1, "pool": 24, **DOMAINS},
    "adain": {"styles": 7, "noise": 2, "warmup": 1},
    "consistency": {"multipliers": (1,), "attend": (0,), "timesteps": 20, "points": 4, "leaps": 2, "warmup": 1},
}

# Read when jax is imported.
os.environ["XLA_FLAGS"] = " ".join(filter(None, [os.environ.get("XLA_FLAGS"), COMPILE_FAST]))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

# Tracing makes millions of objects that stay: with Python's own thresholds a sixth of it is spent looking for garbage.
gc.set_threshold(200_000, 20, 100)


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("long"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def apart(tmp_path_factory, worker_id):
    """No progress lines, nothing read from or written to the user's cache, and one cache for all workers."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODGEN_PROGRESS", "0")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


# --- prepared sets and runs ---------------------------------------------------------------------------------------


def write_set(path, splits, attributes):
    """A finished prepared set of {split: (images, labels)}."""
    digest = hashlib.sha256()
    for name, (images, labels) in splits.items():
        ids, empty = [f"{name}-{i}" for i in range(len(images))], [""] * len(images)
        write_split(path / name, images, np.arange(len(images)), labels, ids, empty, empty, digest)
    counts = {name: len(images) for name, (images, _) in splits.items()}
    prepared = PreparedSet(path, images.shape[1], attributes, counts, digest.hexdigest(), {})
    write_meta(prepared, {"source": "drawn", "seed": 0})
    return open_prepared(path)


@pytest.fixture(scope="session")
def write():
    return write_set


@pytest.fixture(scope="session")
def noise_set(tmp_path_factory):
    """noise_set(size, train, validation, test, seed): a prepared set of noise with labels, for steps and shapes."""

    def make(size=8, train=40, validation=8, test=8, seed=0):
        rng = np.random.default_rng(seed)

        def part(n):
            images = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
            return images, {name: rng.integers(0, len(values), n) for name, values in ATTRIBUTES.items()}

        splits = {"train": part(train), "validation": part(validation), "test": part(test)}
        return write_set(tmp_path_factory.mktemp("set"), splits, ATTRIBUTES)

    return make


@pytest.fixture(scope="session")
def tiny(noise_set):
    """40, 8 and 8 pictures of 8 px."""
    return noise_set()


@pytest.fixture(scope="session")
def tiny_recipe():
    """tiny_recipe(method, **settings): a network of one or two small layers, batches of 16."""
    from prodgen_jax.training.recipe import recipe

    usual = {"width": 8, "batch": 16, "log_every": 1, "sheet_images": 4}
    return lambda name, **settings: recipe(name, **{**usual, **TINY.get(name, {}), **settings})


@pytest.fixture(scope="session")
def run(tiny, tiny_recipe, tmp_path_factory):
    """A VAE after two steps. Read only: copy it before you change it."""
    from prodgen_jax.training.fit import fit

    return fit(tiny_recipe("vae"), tiny, tmp_path_factory.mktemp("runs") / "vae", steps=2)


# --- a shop on disk -----------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="session")
def png_header():
    """png_header(width, height): a PNG whose header claims any size; its body is empty."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def make(width, height):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)

    return make


@pytest.fixture
def shop(tmp_path, photo):
    """shop(n, rows=[...]): tmp_path/shop/products.csv and images/; returns the list's path."""

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


# --- other processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def start():
    """start(*arguments, **environment): a Python process that sees the package, ended when the test ends."""
    begun = []

    def begin(*arguments, **environment):
        command = [sys.executable, *map(str, arguments)]
        paths = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, env=paths, **pipes))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def finish(start):
    """finish(*arguments, **environment): what such a process printed; it must end well."""

    def end(*arguments, **environment):
        process = start(*arguments, **environment)
        out, err = process.communicate(timeout=1200)
        assert process.returncode == 0, err[-3000:]
        return out

    return end


# --- drawn shapes, and a feature network that tells them apart -------------------------------------------------------

SHAPE_SIZE, FINER = 16, 4  # pixels; subpixels on a pixel's side
SHAPE_ATTRIBUTES = {"shape": ["disc", "square", "bar"], "colour": ["red", "green", "blue", "black"], "serial": []}
PALETTE = np.array([[200, 40, 40], [40, 160, 60], [40, 60, 200], [30, 30, 30]])


def draw(shape: int, colour: int, rng: np.random.Generator) -> np.ndarray:
    """One uint8 [16 16 3] picture on white: place, size, shade and texture are random."""
    middle = SHAPE_SIZE / 2 + rng.uniform(-3, 3, (2, 1, 1))
    y, x = np.mgrid[0 : SHAPE_SIZE : 1 / FINER, 0 : SHAPE_SIZE : 1 / FINER] - middle
    r = rng.uniform(3, 6)
    inside = (x**2 + y**2 < r**2, np.maximum(abs(x), abs(y)) < r, (abs(x) < r / 2.5) & (abs(y) < 1.6 * r))[shape]
    ink = PALETTE[colour] + rng.normal(0, 20, 3) + rng.normal(0, 5, (SHAPE_SIZE, SHAPE_SIZE, 1))
    cover = inside.reshape(SHAPE_SIZE, FINER, SHAPE_SIZE, FINER).mean((1, 3))[..., None]  # soft edges
    return (cover * ink + (1 - cover) * 250).clip(0, 255).astype(np.uint8)


def draw_split(n: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    shape, colour = rng.integers(0, 3, n), rng.integers(0, 4, n)
    images = np.stack([draw(s, c, rng) for s, c in zip(shape, colour, strict=True)])
    colour[::10] = -1  # missing
    return images, {"shape": shape, "colour": colour, "serial": np.full(n, -1)}


@pytest.fixture(scope="session")
def draw_shapes():
    return draw_split


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, write):
    rng = np.random.default_rng(0)
    splits = {name: draw_split(n, rng) for name, n in (("train", 1200), ("validation", 400), ("test", 400))}
    return write(tmp_path_factory.mktemp("set"), splits, SHAPE_ATTRIBUTES)


@pytest.fixture(scope="session")
def network(prepared):
    return feature_network(prepared, steps=120)


@pytest.fixture(scope="session")
def fresh():
    """400 pictures that no split holds."""
    return draw_split(400, np.random.default_rng(99))[0]
