"""The shop's colors: named product colors, backgrounds, and the inks of one product."""

import numpy as np

COLORS = {  # name: sRGB of the lit material
    "black": (44, 44, 48),
    "white": (240, 239, 236),
    "gray": (146, 149, 154),
    "beige": (217, 197, 165),
    "brown": (124, 82, 54),
    "red": (200, 44, 48),
    "pink": (238, 152, 176),
    "orange": (236, 126, 46),
    "yellow": (244, 203, 66),
    "green": (62, 142, 84),
    "teal": (32, 146, 150),
    "blue": (52, 112, 206),
    "navy": (38, 52, 96),
    "purple": (126, 80, 166),
}

BACKGROUNDS = {  # all near white, as studio photos are
    "white": (253, 253, 253),
    "light gray": (238, 239, 241),
    "cream": (250, 246, 236),
    "pale blue": (236, 243, 250),
}

FIXED = {  # what does not follow the product's color
    "black": (34, 34, 38),
    "white": (244, 243, 240),
    "rubber": (236, 233, 226),
    "wood": (176, 128, 84),
    "lens": (52, 50, 56),
    "thread": (222, 172, 96),
    "glow": (255, 240, 206),
}
METALS = ((196, 199, 205), (214, 176, 104), (150, 142, 140))  # silver, gold, gunmetal
TRIMS = ((244, 242, 236), (40, 42, 50), (168, 116, 72), (224, 204, 170), (40, 56, 102), (208, 64, 58))


def contrasting(trim: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The trim, or where it would not be seen on the body a light or a dark one."""
    if np.abs(trim - body).mean() > 0.2:
        return trim
    return np.array([0.95, 0.94, 0.92]) if body.mean() < 0.55 else body * 0.45


def inks(color: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All colors of one product, floats in [0, 1]; `rng` picks its trim, its metal and a shade within the color."""
    trim, metal, tone = rng.integers(len(TRIMS)), rng.integers(len(METALS)), rng.uniform(0.95, 1.05)
    body = np.clip(np.array(COLORS[color]) / 255 * tone, 0, 0.97)
    fixed = {name: np.array(rgb) / 255 for name, rgb in FIXED.items()}
    own = {"body": body, "shade": body * 0.72, "seam": body * 0.5, "lining": body * 0.34 + 0.06,
           "light": body * 0.6 + 0.4, "trim": contrasting(np.array(TRIMS[trim]) / 255, body),
           "metal": np.array(METALS[metal]) / 255}  # fmt: skip
    return fixed | own
