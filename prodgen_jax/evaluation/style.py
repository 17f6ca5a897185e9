"""Has the look changed? Color and texture statistics of two sets, compared one by one (E11).

For samples beside photos, and for samples of one checkpoint, seed or release beside those of another.
"""

import numpy as np
from jaxtyping import Array, Float, UInt8
from scipy.stats import ks_2samp

from prodgen_jax.data.images import LUMA

BLOCK = 1024  # pictures at a time
LEVEL = 0.01  # chance of one false alarm or more in a comparison of sets that are alike
LEAST = 0.1  # Kolmogorov's distance below which a difference is too small to matter, however sure it is


def statistics(images: UInt8[Array, "n h w 3"]) -> dict[str, Float[np.ndarray, "n"]]:
    """Per picture, in levels of 255: light, contrast, the two opponent colors, saturation, fine and coarse edges."""
    parts = [of_block(np.asarray(images[i : i + BLOCK], np.float32)) for i in range(0, len(images), BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def of_block(x: Float[np.ndarray, "b h w 3"]) -> dict[str, Float[np.ndarray, "b"]]:
    red, green, blue = np.moveaxis(x, -1, 0)
    luma = x @ LUMA
    side = x.shape[1] // 4 * 4
    coarse = luma[:, :side, :side].reshape(len(x), side // 4, 4, side // 4, 4).mean((2, 4))
    return {
        "light": luma.mean((1, 2)),
        "contrast": luma.std((1, 2)),
        "red over green": (red - green).mean((1, 2)),
        "yellow over blue": ((red + green) / 2 - blue).mean((1, 2)),
        "saturation": (x.max(-1) - x.min(-1)).mean((1, 2)),
        "fine edges": edges(luma),
        "coarse edges": edges(coarse),
    }


def edges(luma: Float[np.ndarray, "b h w"]) -> Float[np.ndarray, "b"]:
    return (np.abs(np.diff(luma, axis=1)).mean((1, 2)) + np.abs(np.diff(luma, axis=2)).mean((1, 2))) / 2


def drift(before: UInt8[Array, "n h w 3"], after: UInt8[Array, "m h w 3"]) -> dict:
    """{"statistics": {name: {"shift" of the mean in levels, Kolmogorov's "distance", its "p"}}, "drifted": [names]}.

    A statistic has drifted where its two distributions differ beyond chance (all tests together err once in a hundred
    comparisons) and by a tenth or more.
    """
    a, b = statistics(before), statistics(after)
    found = {}
    for name in a:
        test = ks_2samp(a[name], b[name], method="asymp")  # the exact way gives up on large sets
        shift = float(b[name].mean() - a[name].mean())
        found[name] = {"shift": shift, "distance": float(test.statistic), "p": float(test.pvalue)}
    drifted = [name for name, at in found.items() if at["p"] < LEVEL / len(found) and at["distance"] >= LEAST]
    return {"statistics": found, "drifted": drifted}
