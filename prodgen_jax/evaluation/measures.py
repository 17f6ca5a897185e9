"""All set measures of samples against a reference, from their features, in one dictionary."""

import numpy as np
from jaxtyping import Array, Float

from prodgen_jax.evaluation import intervals, sets

Features = Float[Array, "n d"]


def measure(reference: Features, found: Features, rng: np.random.Generator) -> dict[str, float]:
    """All set measures of `found` against `reference`."""
    kid, kid_stderr = sets.kid(reference, found)
    accuracy, p = sets.two_sample_test(reference, found, rng)
    beyond, beyond_stderr = sets.frechet_infinity(reference, found, rng)
    return {
        **resampled(reference, found),
        "fcd_infinity": beyond,
        "fcd_infinity_stderr": beyond_stderr,
        "kid": kid,
        "kid_stderr": kid_stderr,
        "two_sample_accuracy": accuracy,
        "two_sample_p": p,
    }


def resampled(reference: Features, found: Features) -> dict[str, float]:
    """The measures whose interval takes resampling; the others bring an error of their own."""
    precision, recall = sets.precision_recall(reference, found)
    density, coverage = sets.density_coverage(reference, found)
    return {
        "fcd": sets.frechet_distance(reference, found),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "vendi": sets.vendi(found),
    }


def interval(
    reference: Features,
    found: Features,
    values: dict[str, float],
    rng: np.random.Generator,
    resamples: int = intervals.RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """A 95 % interval of each measure that `measure` gave: by subsampling, KID's by its jackknife error, the two-sample
    accuracy's by Wilson's; that of the extrapolated FCD adds the extrapolation's error to the FCD's own."""
    half = intervals.of_measures(resampled, reference, found, rng, resamples)
    half["kid"] = intervals.Z * values["kid_stderr"]
    half["fcd_infinity"] = float(np.hypot(half["fcd"], intervals.Z * values["fcd_infinity_stderr"]))
    n = len(reference) + len(found)
    around = {key: intervals.around(key, values[key], width) for key, width in half.items()}
    return {**around, "two_sample_accuracy": intervals.wilson(round(values["two_sample_accuracy"] * n), n)}
