"""Fabrics and papers drawn by code: styles that come with the package, and as many like them as a seed gives.

Each is a function of a canvas and a generator of random numbers; none is a photo of anything. A style is drawn at three
times its size and averaged, so that its lines are smooth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8
from PIL import ImageColor

from prodgen_jax.errors import InputError

FINER = 3  # times, before averaging
MOTIF = 32  # pixels that a motif takes, about
Plane = Float[np.ndarray, "n n"]
Inks = Float[np.ndarray, "k 3"]


@dataclass(frozen=True, eq=False)
class Canvas:
    """x, y: in motifs, from a random corner; inks: colors in [0, 1], the ground first; rng: what is left to chance."""

    x: Plane
    y: Plane
    inks: Inks
    rng: np.random.Generator

    def noise(self, along: float = 1.0, across: float = 1.0, rough: float = 1.0) -> Plane:
        """Smooth noise of mean 0 and deviation 1, about so many motifs long in x and y; rough: more is smoother."""
        n = len(self.x)
        step = abs(self.x[0, 1] - self.x[0, 0])
        fx, fy = np.fft.fftfreq(n, step)[None] * along, np.fft.fftfreq(n, step)[:, None] * across
        spectrum = (1 + fx**2 + fy**2) ** (-rough)
        found = np.fft.ifft2(np.fft.fft2(self.rng.normal(size=(n, n))) * spectrum).real
        return (found - found.mean()) / (found.std() + 1e-9)


def soft(value, sharp: float = 6.0):
    """A threshold at 0 with a narrow slope."""
    return np.clip(0.5 + sharp * value, 0, 1)


def blend(below: Float[np.ndarray, "n n 3"], ink: Float[np.ndarray, "3"], cover) -> Float[np.ndarray, "n n 3"]:
    return below + (ink - below) * np.clip(cover, 0, 1)[..., None]


def flat(c: Canvas) -> Float[np.ndarray, "n n 3"]:
    return np.broadcast_to(c.inks[0], (*c.x.shape, 3))


def denim(c: Canvas):
    """A twill: slanted ribs of dyed warp, between them the pale weft, and slubs along the warp."""
    rib = np.sin(2 * np.pi * 5 * (c.x + 0.62 * c.y) + 0.5 * c.noise(0.3, 0.3))
    thread = np.sin(2 * np.pi * 11 * c.x + c.noise(0.1, 1.5))
    slub = c.noise(0.1, 3.0, 1.3)
    worn = c.noise(3, 3, 2)
    pale = 0.30 + 0.26 * rib + 0.12 * thread + 0.13 * slub + 0.10 * worn
    return blend(flat(c), c.inks[1], pale)


def plaid(c: Canvas):
    """A tartan: broad bands that cross, narrow lines between them, all in twill."""
    twill = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 12 * (c.x + c.y)))
    out = flat(c)
    for along, share in ((c.x, twill), (c.y, 1 - twill)):
        broad = soft(np.cos(2 * np.pi * along / 1.5) - 0.1, 12)
        narrow = soft(np.cos(2 * np.pi * (along / 1.5 + 0.5)) - 0.955, 60)
        out = blend(out, c.inks[1], broad * (0.35 + 0.4 * share))
        out = blend(out, c.inks[2], narrow * (0.55 + 0.4 * share))
    return out


def polka(c: Canvas):
    """Dots in rows that are set off by half."""
    x, y = c.x / 0.7, c.y / 0.7
    far = np.minimum(np.hypot(x - x.round(), y - y.round()), np.hypot(x % 1 - 0.5, y % 1 - 0.5))
    return blend(flat(c), c.inks[1], soft(0.21 - far, 30))


def ikat(c: Canvas):
    """Diamonds within diamonds, whose edges run along the warp because it was dyed before it was woven."""
    run = 0.06 * c.noise(0.05, 0.6) + 0.05 * c.noise(0.12, 0.4)
    y = c.y + run
    far = np.abs((c.x / 1.3) % 1 - 0.5) * 2 + np.abs((y / 1.7) % 1 - 0.5) * 2
    out = flat(c)
    for edge, ink in ((1.28, 1), (0.92, 2), (0.55, 0), (0.28, 1)):
        out = blend(out, c.inks[ink], soft(edge - far, 7))
    return out * (1 + 0.05 * np.sin(2 * np.pi * 13 * c.x))[..., None]


def marble(c: Canvas):
    """Veins where a bent wave passes through zero, on a clouded ground."""
    bent = c.noise(1.6, 1.6, 1.6)
    veins = np.exp(-np.abs(np.sin(np.pi * (0.55 * c.x + 0.35 * c.y + 0.28 * bent))) * 9)
    fine = np.exp(-np.abs(np.sin(np.pi * (0.8 * c.y - 0.5 * c.x + 0.3 * c.noise(1.0, 1.0, 1.4)))) * 22)
    clouds = 0.18 + 0.14 * c.noise(1.5, 1.5, 1.3)
    return blend(blend(flat(c), c.inks[1], clouds), c.inks[2], 0.75 * veins + 0.35 * fine)


def wood(c: Canvas):
    """Year rings, cut along the trunk, with pores along them."""
    rings = np.sin(2 * np.pi * (1.7 * c.x + 0.5 * c.noise(0.9, 7.0, 1.6)))
    grain = c.noise(0.07, 2.6, 1.2)
    pores = soft(c.noise(0.05, 0.9, 1.2) - 1.6, 3)
    out = blend(flat(c), c.inks[1], 0.42 + 0.34 * rings + 0.13 * grain)
    return blend(out, c.inks[2], 0.6 * pores)


def paper(c: Canvas):
    """Handmade paper: a mottled ground, fibers, and the light of its folds."""
    folds = np.abs(c.noise(1.4, 1.4, 1.6))
    out = blend(flat(c), c.inks[1], 0.25 + 0.13 * c.noise(0.25, 0.25) - 0.20 * (folds - 0.8))
    for across, along in ((0.9, 0.07), (0.07, 0.9)):
        out = blend(out, c.inks[2], 0.55 * soft(c.noise(along, across, 1.3) - 2.1, 2))
    return out


@dataclass(frozen=True)
class Style:
    """draw: canvas -> colors in [0, 1]; inks: the colors that it is known in, the ground first."""

    draw: Callable
    inks: tuple[str, ...]


STYLES = {
    "denim": Style(denim, ("#20365f", "#b9c6d8")),
    "plaid": Style(plaid, ("#b3202c", "#14301f", "#f0d9a0")),
    "polka": Style(polka, ("#f6efe4", "#c8283c")),
    "ikat": Style(ikat, ("#f2e7d0", "#1f4e8c", "#c9502e")),
    "marble": Style(marble, ("#f4f2ee", "#c9c9cc", "#4d5058")),
    "wood": Style(wood, ("#c89058", "#7a4624", "#3c2010")),
    "paper": Style(paper, ("#e6d3ab", "#b89a68", "#6f5530")),
}


def draw_style(
    name: str, size: int, seed: int = 0, inks: tuple[str, ...] | None = None, motif: float = MOTIF
) -> UInt8[np.ndarray, "size size 3"]:
    """A style as a square picture. motif: pixels that one takes; inks: other colors. InputError lists the names."""
    if name not in STYLES:
        raise InputError(f"style '{name}' is not known; choose one of {', '.join(STYLES)}, or a picture file")
    rng = np.random.default_rng(seed)
    style = replace(STYLES[name], inks=inks) if inks else STYLES[name]
    colors = np.array([ImageColor.getrgb(ink) for ink in style.inks]) / 255
    at = (np.arange(size * FINER) + 0.5) / FINER / motif
    x, y = np.meshgrid(at + rng.uniform(), at + rng.uniform())
    fine = np.clip(style.draw(Canvas(x, y, colors, rng)), 0, 1)
    return (fine.reshape(size, FINER, size, FINER, 3).mean((1, 3)) * 255).round().astype(np.uint8)


def random_styles(n: int, size: int, seed: int) -> UInt8[np.ndarray, "n size size 3"]:
    """So many styles to learn from: every kind in turn, in random colors, at random scales, half of them turned."""
    rng, names, found = np.random.default_rng(seed), list(STYLES), []
    for i in range(n):
        name = names[i % len(names)]
        inks = tuple("#{:02x}{:02x}{:02x}".format(*rng.integers(0, 256, 3)) for _ in STYLES[name].inks)
        picture = draw_style(name, size, int(rng.integers(2**31)), inks, MOTIF * rng.uniform(0.6, 1.6))
        found.append(np.rot90(picture) if rng.integers(2) else picture)
    return np.stack(found)
