"""The demo shop's stock list: which products there are, what they are called, and their photos.

A product is drawn from its own random stream, `SeedSequence([seed, number])`, so any row can be made alone. Photos of
one product share its `group`: of each six products, four have one photo, one has two and one has three.
"""

import math
from hashlib import blake2b

import numpy as np
from jaxtyping import UInt8

from prodgen_jax.data.demo.bags import BAGS
from prodgen_jax.data.demo.clothes import CLOTHES
from prodgen_jax.data.demo.home import HOME
from prodgen_jax.data.demo.paint import Look, photograph
from prodgen_jax.data.demo.palette import BACKGROUNDS, COLORS, inks
from prodgen_jax.data.demo.patterns import PATTERNS
from prodgen_jax.data.demo.shapes import Part, flip, turn
from prodgen_jax.data.demo.shoes import SHOES
from prodgen_jax.data.demo.wear import WEAR
from prodgen_jax.errors import InputError

GOODS = CLOTHES | SHOES | BAGS | WEAR | HOME  # type: (front, side or None); without a side the front is turned
TYPES = ("t-shirt", "sneaker", "dress", "handbag", "jeans", "watch", "mug", "backpack", "cap", "sunglasses", "heel",
         "lamp", "armchair")  # fmt: skip
VIEWS = {"front": (0, 0), "left": (-34, 0), "right": (34, 0), "tilted": (0, -15)}  # turn and roll, degrees
ATTRIBUTES = {"type": TYPES, "colour": tuple(COLORS), "pattern": tuple(PATTERNS), "view": tuple(VIEWS),
              "background": tuple(BACKGROUNDS)}  # fmt: skip

BRANDS = ("Alder", "Rivet", "Norden", "Pavo", "Juniper", "Halden", "Marlow", "Tessel", "Oriel", "Fennick")
FAVORITES = {  # colors that a type is mostly sold in
    "jeans": ("navy", "blue", "black", "gray"),
    "watch": ("black", "brown", "navy"),
    "sunglasses": ("black", "brown"),
    "heel": ("red", "black", "beige"),
    "handbag": ("brown", "beige", "black", "red"),
    "sneaker": ("white", "black", "gray"),
    "mug": ("white", "teal", "yellow"),
    "dress": ("red", "pink", "green"),
    "armchair": ("teal", "gray", "green"),
}
PLAIN_SHARE = {"watch": 0.8, "sunglasses": 0.8, "jeans": 0.75, "heel": 0.7, "handbag": 0.6, "sneaker": 0.6}
BLOCK = (1, 1, 1, 1, 2, 3)  # photos of six products, in an order drawn for each block
MARGIN = 0.84  # a good reaches this far from the center of the frame at most


def weights(names: tuple[str, ...], flat: float, favorites: tuple[str, ...] = ()) -> np.ndarray:
    """Long-tailed shares by rank (Zipf with an offset); a favorite counts five times."""
    share = np.array([(5.0 if name in favorites else 1.0) / (rank + flat) for rank, name in enumerate(names)])
    return share / share.sum()


def pick(rng: np.random.Generator, names: tuple[str, ...], share: np.ndarray) -> str:
    return names[int(rng.choice(len(names), p=share))]


def place(seed: int, index: int) -> tuple[int, int]:
    """Which product photo `index` shows, and which of the product's photos it is."""
    block, offset = divmod(index, sum(BLOCK))
    counts = np.random.default_rng([seed, block, 1]).permutation(BLOCK)
    ends = np.cumsum(counts)
    slot = int(np.searchsorted(ends, offset, side="right"))
    return block * len(BLOCK) + slot, offset - int(ends[slot] - counts[slot])


def product(seed: int, index: int) -> dict[str, str]:
    """The row of photo `index`: "id", "name", "group" and a value for each of ATTRIBUTES; always the same row."""
    number, shot = place(seed, index)
    rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
    kind = pick(rng, TYPES, weights(TYPES, 4.0))
    color = pick(rng, tuple(COLORS), weights(tuple(COLORS), 8.0, FAVORITES.get(kind, ())))
    fancy = tuple(PATTERNS)[1:]
    pattern = "plain" if rng.random() < PLAIN_SHARE.get(kind, 0.4) else pick(rng, fancy, weights(fancy, 4.0))
    view = tuple(VIEWS)[rng.permutation(len(VIEWS))[shot]]
    background = pick(rng, tuple(BACKGROUNDS), np.array([0.55, 0.2, 0.15, 0.1]))
    words = (str(rng.choice(BRANDS)), color, "" if pattern == "plain" else pattern, kind)
    return {"id": f"demo-{seed}-{index:06d}", "name": " ".join(w.title() for w in words if w),
            "group": f"demo-{seed}-p{number:06d}", "type": kind, "colour": color, "pattern": pattern, "view": view,
            "background": background}  # fmt: skip


def rows(n: int, seed: int) -> list[dict[str, str]]:
    """The first n photos of the shop `seed`."""
    return [product(seed, index) for index in range(n)]


def stream(text: str) -> np.random.Generator:
    """A random stream of its own for each text."""
    return np.random.default_rng(int.from_bytes(blake2b(text.encode(), digest_size=8).digest()))


def check(row: dict[str, str]) -> None:
    for name, values in ATTRIBUTES.items():
        if row.get(name) not in values:
            raise InputError(f"demo row {row['id']}: {name} is {row.get(name)!r}; choose one of {', '.join(values)}")


def assemble(kind: str, view: str, rng: np.random.Generator) -> list[Part]:
    """The parts of a good as the view shows them, not yet placed in the frame."""
    front, side = GOODS[kind]
    if side is None:
        angle = math.radians(VIEWS[view][0])
        return [seen for part in front(rng.uniform) for seen in turn(part, angle)]
    if view == "front":
        return front(rng.uniform)
    parts = side(rng.uniform)
    return [moved(part, flip) for part in parts] if view == "left" else parts


def moved(part: Part, to) -> Part:
    return Part(tuple(to(o) for o in part.outlines), part.ink, part.material, part.alpha, pattern=part.pattern)


def framed(parts: list[Part], roll: float, scale: float) -> list[Part]:
    """Rolled by `roll`, centered, and as large as the frame allows, times `scale`."""
    c, s = math.cos(roll), math.sin(roll)
    parts = [moved(part, lambda o: o @ np.array([[c, s], [-s, c]])) for part in parts] if roll else parts
    points = np.concatenate([o for part in parts for o in part.outlines])
    low, high = points.min(0), points.max(0)
    zoom = 2 * MARGIN * scale / (high - low).max()
    return [moved(part, lambda o: (o - (low + high) / 2) * zoom) for part in parts]


def draw(row: dict[str, str], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The photo of a row, sRGB.

    Its form follows the row's "group" (its "id" without one) and all else its attributes, so that a row with one
    attribute changed shows the same product with that changed. Raises InputError for a value outside ATTRIBUTES.
    """
    check(row)
    group = row.get("group") or row["id"]
    own, shot = stream(group), stream(row["id"] + "/photo")
    colors, crease, repeats = inks(row["colour"], own), own.uniform(0, 6, 6), own.uniform(3.2, 4.4)
    angle, roll = (math.radians(a) for a in VIEWS[row["view"]])
    look = Look(colors, PATTERNS[row["pattern"]], repeats, roll, crease, math.sin(angle))
    parts = framed(assemble(row["type"], row["view"], own), roll, shot.uniform(0.92, 1.0))
    return photograph(parts, look, BACKGROUNDS[row["background"]], size)
