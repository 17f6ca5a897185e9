"""Can one tell from a model whether a photo was among those that it learned from?

An attack gives each photo a score, higher for those that it takes for members, and is measured on training photos and
on as many held-out ones: of products that the model never saw, drawn the same way. By a run's own bits where it has a
probability (the loss attack, Yeom 2018): a photo that was learned by heart costs less. Where it has none (a GAN), by
the distance to the nearest of its samples (Chen 2020, section 4.2), which needs the pictures alone; in pixels, as
copies are looked for, since features are those of a network that knows the training photos.
"""

import numpy as np
from jaxtyping import Float

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.bits import bits_of
from prodgen_jax.evaluation.copies import describe, find_nearest
from prodgen_jax.evaluation.intervals import Z
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.run import Run

PHOTOS = 1000  # of each side, at most
SAMPLES = 4000  # to be near to
LEAST = 50  # photos on each side; fewer say nothing
FALSE_ALARMS = 0.01  # the share of held-out photos at which hits are counted (Carlini 2022)


def auc(members: Float[np.ndarray, "n"], others: Float[np.ndarray, "m"]) -> tuple[float, float]:
    """(how often a member's score is above another's, half of its 95 % interval). 0.5 is a coin; DeLong 1988."""

    def below(scores: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The share of `scores` below each of `at`; equal ones count half."""
        ranked = np.sort(scores)
        return (np.searchsorted(ranked, at, "left") + np.searchsorted(ranked, at, "right")) / (2 * len(ranked))

    own, theirs = below(others, members), 1 - below(members, others)
    spread = own.var(ddof=1) / len(members) + theirs.var(ddof=1) / len(others)
    return float(own.mean()), float(Z * np.sqrt(spread))


def attack_report(members: Float[np.ndarray, "n"], others: Float[np.ndarray, "m"]) -> dict:
    """How well scores tell members from others: {"auc", "half", "hits": of members, with so many "false_alarms"}."""
    area, half = auc(members, others)
    bar = np.quantile(others, 1 - FALSE_ALARMS, method="higher")
    return {"auc": area, "half": half, "hits": float((members > bar).mean()), "false_alarms": FALSE_ALARMS}


def check_membership(run: Run, prepared: PreparedSet, against: str) -> int:
    """How many photos of each side are attacked. InputError if these are few, or the run is none to ask it of."""
    n = min(PHOTOS, prepared.splits["train"], prepared.splits[against])
    if n < LEAST:
        raise InputError(f"{prepared.path}: membership needs {LEAST} photos in 'train' and '{against}', not {n}")
    if run.method.source is not None or run.method.style is not None or run.method.domains:
        raise InputError(f"{run.path}: begins from pictures; membership is asked of what draws a catalogue's like")
    return n


def membership_scores(
    run: Run, prepared: PreparedSet, against: str = "test", seed: int = 0
) -> tuple[str, Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """(by what, scores of training photos, scores of held-out ones), as many of each. InputError as there."""
    n = check_membership(run, prepared, against)
    rng = np.random.default_rng(seed)
    rows = {part: np.sort(rng.choice(prepared.splits[part], n, replace=False)) for part in ("train", against)}
    if run.method.bits is not None:
        return ("bits", *(-bits_of(run, prepared, part, some, seed) for part, some in rows.items()))
    made = describe(sample(run, SAMPLES, seed)[0])
    photos = (np.asarray(prepared.split(part).images[some]) for part, some in rows.items())
    return ("nearest sample", *(-find_nearest(images, made).distance for images in photos))


def membership_report(run: Run, prepared: PreparedSet, against: str = "test", seed: int = 0) -> dict:
    """`attack_report` of a run's photos, with "by" and how many "photos" were on each side."""
    by, members, others = membership_scores(run, prepared, against, seed)
    return {"by": by, "photos": len(members), **attack_report(members, others)}
