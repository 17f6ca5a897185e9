"""Does each measure see what it claims to see? It is given sets whose order is known, and may fail (X rows, E2, E3).

The floor is several draws of real photos against the reference; their spread says how much of a difference is chance.
The first of these draws is then spoiled in steps: by noise, by blur, and by repeating ever fewer photos. A measure
fails a ladder where a worse rung looks better than the one before it by more than chance, the first rung being
compared with the photos that it was made of; or where the last rung is not clearly worse than the floor. A failed
measure stays in the record, marked, and is struck out in tables.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Array, Float, UInt8
from scipy.ndimage import gaussian_filter

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.measures import measure

FLOORS = 5  # draws of real photos
MOST, LEAST = 1000, 64  # photos on a rung, drawn from twice as many or more
CHANCE, CLEAR = 2.0, 3.0  # standard deviations of the floor: may be chance; is none
STEPS, END = "every step is worse", "the end is not better than real photos"

RUNGS: Mapping[str, tuple[float, ...]] = {
    "noise": (8, 32, 96),  # standard deviation in levels of 255
    "blur": (0.02, 0.04, 0.1),  # standard deviation in shares of the side
    "copies": (0.25, 0.05, 0.0),  # share of the photos that are different; at 0 it is one photo
}
ALL = {"noise": STEPS, "blur": STEPS, "copies": STEPS}
REALISM = {"noise": STEPS, "blur": STEPS}  # every copy is a perfect photo
VARIETY = {"noise": END, "blur": END, "copies": STEPS}  # damage must not pass for variety
CLAIMS: Mapping[str, tuple[int, Mapping[str, str]]] = {  # (+1 where more is worse, what is claimed of each ladder)
    "fcd": (1, ALL),
    "kid": (1, ALL),
    "precision": (-1, REALISM),
    "recall": (-1, VARIETY),
    "density": (-1, REALISM),
    "coverage": (-1, ALL),
    "vendi": (-1, VARIETY),
    "two_sample_accuracy": (1, ALL),
}

Images = UInt8[np.ndarray, "n h w 3"]


def noisy(images: Images, levels: float, rng: np.random.Generator) -> Images:
    return (images + rng.normal(0, levels, images.shape)).round().clip(0, 255).astype(np.uint8)


def blurred(images: Images, share: float, rng: np.random.Generator) -> Images:
    del rng
    sigma = share * images.shape[1]
    soft = gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest")
    return soft.round().clip(0, 255).astype(np.uint8)


def repeated(images: Images, share: float, rng: np.random.Generator) -> Images:
    """As many pictures as before, of which a share is different: at least one."""
    some = rng.choice(len(images), max(1, round(share * len(images))), replace=False)
    return images[np.resize(some, len(images))]


SPOILERS: Mapping[str, Callable] = {"noise": noisy, "blur": blurred, "copies": repeated}


def self_test(
    network, reference: Float[Array, "m d"], photos: UInt8[Array, "n h w 3"], rng: np.random.Generator
) -> dict:
    """Every set measure on every ladder: {"n", "rungs", "metrics": {name: its values, what it failed, "passed"}}.

    network: gives `features(images)`; reference: features of real photos; photos: real ones that are not among them.
    InputError with fewer than 128 photos.
    """
    n = min(len(photos) // 2, MOST)  # a half, so that two draws differ
    if n < LEAST:
        raise InputError(f"{len(photos)} photos: a self-test needs {2 * LEAST} or more")

    def draw() -> Images:
        return np.asarray(photos[np.sort(rng.choice(len(photos), n, replace=False))])

    def measured(images: Images) -> dict[str, float]:
        return measure(reference, network.features(images), rng)

    base, *others = [draw() for _ in range(FLOORS)]
    floors = [measured(images) for images in (base, *others)]
    ladders = {name: [measured(SPOILERS[name](base, rung, rng)) for rung in rungs] for name, rungs in RUNGS.items()}
    rungs = {name: list(steps) for name, steps in RUNGS.items()}
    return {"n": n, "floors": FLOORS, "rungs": rungs, "metrics": {key: judge(key, floors, ladders) for key in CLAIMS}}


def judge(key: str, floors: list[dict], ladders: Mapping[str, list[dict]]) -> dict:
    """One measure's values, and the ladders that it failed. floors: the first is of the photos that are spoiled."""
    sign, claims = CLAIMS[key]
    drawn = np.array([at[key] for at in floors])
    start, floor, spread = float(drawn[0]), float(drawn.mean()), float(drawn.std(ddof=1))
    values = {name: [float(at[key]) for at in rows] for name, rows in ladders.items()}
    failed = [name for name, rule in claims.items() if not holds([start, *values[name]], floor, spread, sign, rule)]
    return {
        "start": start,
        "floor": floor,
        "spread": spread,
        **values,
        "claims": dict(claims),
        "failed": failed,
        "passed": not failed,
    }


def holds(values: list[float], floor: float, spread: float, sign: int, rule: str) -> bool:
    """Whether a ladder's values, from no damage to much, keep the order that is claimed."""
    worse = sign * (np.array(values) - floor)  # 0 at the floor, above it where worse
    if rule == END:
        return bool(worse[-1] >= -CLEAR * spread)
    steady = bool((np.diff(worse) >= -CHANCE * spread).all())
    return steady and bool(worse[-1] > CLEAR * spread)


def failures(records: list[Mapping]) -> set[str]:
    """The measures that failed their own test in any of these records; none where there was no test."""
    tests = [record["self_test"]["metrics"] for record in records if record.get("self_test")]
    return {key for metrics in tests for key, found in metrics.items() if not found["passed"]}
