"""Would a shop take the picture? Size, white background, fill, sharpness, exposure; beside real photos (E12).

Rules are plain and absolute, as a marketplace's are. The real catalog does not pass all of them either, so its own
pass rate is the yardstick.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from prodgen_jax.data.foreground import APART, foreground, ring
from prodgen_jax.data.images import LUMA
from prodgen_jax.evaluation.intervals import wilson

BLOCK = 1024  # pictures at a time


@dataclass(frozen=True)
class ShopRules:
    """What a picture must be; levels are of 255, shares of 1."""

    least_side: int = 32  # pixels
    white_level: int = 235  # of every channel of a pixel of the border that counts as white
    white_share: float = 0.95  # of the border that must be white
    apart: int = APART  # levels from the border's median color that make a pixel part of the product
    least_fill: float = 0.5  # of the side that the product's longer side takes
    least_sharpness: float = 20.0  # levels: 99th percentile of the difference of neighboring pixels
    darkest: float = 20.0  # levels, mean of the product
    brightest: float = 240.0  # levels, mean of the product


def measure(images: UInt8[Array, "n h w 3"], rules: ShopRules) -> dict[str, Float[np.ndarray, "n"]]:
    """What the rules are about, per picture: {"white", "fill", "sharpness", "exposure"}."""
    parts = [measure_block(np.asarray(images[i : i + BLOCK]), rules) for i in range(0, len(images), BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def measure_block(images: UInt8[np.ndarray, "b h w 3"], rules: ShopRules) -> dict[str, Float[np.ndarray, "b"]]:
    product = foreground(images, rules.apart)
    luma = images.astype(np.float32) @ LUMA
    steps = np.concatenate([np.abs(np.diff(luma, axis=axis)).reshape(len(luma), -1) for axis in (1, 2)], axis=1)
    inside = product.sum((1, 2))
    return {
        "white": (ring(images) >= rules.white_level).all(-1).mean(1),
        "fill": np.maximum(extent(product, 2), extent(product, 1)),
        "sharpness": np.percentile(steps, 99, axis=1),
        "exposure": np.where(inside > 0, (luma * product).sum((1, 2)) / np.maximum(inside, 1), 255.0),
    }


def extent(product: Bool[np.ndarray, "b h w"], axis: int) -> Float[np.ndarray, "b"]:
    """Share of the side between the first and the last line across `axis` that the product is on."""
    lines = product.mean(axis) > 0.03  # a single pixel in 32 is on the brink of noise
    n = lines.shape[1]
    span = n - lines.argmax(1) - lines[:, ::-1].argmax(1)
    return np.where(lines.any(1), span, 0) / n


def check(images: UInt8[Array, "n h w 3"], rules: ShopRules | None = None) -> dict[str, Bool[np.ndarray, "n"]]:
    """Which pictures pass which rule; "all": every one of them. images: uint8, one or more."""
    rules = rules or ShopRules()
    at = measure(images, rules)
    passed = {
        "size": np.full(len(images), min(np.shape(images)[1:3]) >= rules.least_side),
        "background": at["white"] >= rules.white_share,
        "fill": at["fill"] >= rules.least_fill,
        "sharpness": at["sharpness"] >= rules.least_sharpness,
        "exposure": (at["exposure"] >= rules.darkest) & (at["exposure"] <= rules.brightest),
    }
    return {**passed, "all": np.all(list(passed.values()), axis=0)}


def rates(passed: Mapping[str, Bool[np.ndarray, "n"]]) -> dict[str, dict]:
    """{rule: share that passes, its interval}."""
    return {rule: {"rate": float(ok.mean()), "interval": wilson(int(ok.sum()), len(ok))} for rule, ok in passed.items()}


def report(
    samples: UInt8[Array, "n h w 3"],
    real: UInt8[Array, "m h w 3"],
    values: tuple[np.ndarray, np.ndarray] | None = None,
    names: Mapping[int, str] | None = None,
    rules: ShopRules | None = None,
    least: int = 30,
) -> dict:
    """Pass rates of samples beside real photos'; per category where `values` gives both sides' and `names` theirs.

    A category with fewer than `least` pictures on either side is left out of "by_category", and counted as "too_few".
    """
    rules = rules or ShopRules()
    ours, theirs = check(samples, rules), check(real, rules)
    found = {"rules": asdict(rules), "samples": rates(ours), "real": rates(theirs)}
    if values is None:
        return found
    shown, few = {}, 0
    for value, name in (names or {}).items():
        here = [side == value for side in values]
        if min(rows.sum() for rows in here) < least:
            few += 1
            continue
        both = zip(("samples", "real"), (ours, theirs), here, strict=True)
        shown[name] = {who: {"n": int(rows.sum()), **rates({"all": ok["all"][rows]})["all"]} for who, ok, rows in both}
    return {**found, "by_category": shown, "too_few": few}
