"""What held-out photos cost in bits by a run's own probability of them: 8 for each number as they are.

A code that follows such a probability needs so many bits and hardly more (Shannon), so smaller is better, and models of
any kind that have one stand in one table. It says little about how samples look (Theis 2016, section 3).
"""

import numpy as np
from jaxtyping import Float, Int

from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import askable, spoken
from prodgen_jax.progress import Progress
from prodgen_jax.sampling.sample import image_keys, portion
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run

PHOTOS = 512  # of the split, evenly: photos next to each other are alike


def check_bits(run: Run) -> None:
    """InputError where the run's method gives pictures no probability."""
    if run.method.bits is None:
        raise InputError(
            f"{run.path}: a {run.config['method']} gives pictures no probability that bits could be counted by"
        )


def bits_report(run: Run, prepared: PreparedSet, against: str = "test", seed: int = 0) -> dict:
    """{"mean": bits for each number, "half": of its 95 % interval over photos, "photos"}.

    Where a run is conditional, it is told what the table says of each photo. InputError as `check_bits`'s.
    """
    photos = prepared.splits[against]
    n = min(PHOTOS, photos)
    bits = bits_of(run, prepared, against, np.linspace(0, photos - 1, n).astype(int), seed)
    half = 1.96 * bits.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    return {"mean": float(bits.mean()), "half": float(half), "photos": n}


def bits_of(
    run: Run, prepared: PreparedSet, part: str, some: Int[np.ndarray, "n"], seed: int = 0
) -> Float[np.ndarray, "n"]:
    """Bits for each number of some rows of a split, as `bits_report` counts them."""
    check_bits(run)
    photos, n = prepared.split(part), len(some)
    images = np.asarray(photos.images[some])
    cond = spoken(run, prepared, {a: photos.labels[a][some].astype(np.int32) for a in askable(run, prepared)})
    measure, found, params = jitted(run.method.bits), [], run.params
    with Progress(n, "bits") as bar:
        for start in range(0, n, portion()):
            rows = np.minimum(np.arange(start, start + portion()), n - 1)  # the last portion is filled up
            label = {a: values[rows] for a, values in cond.items()}
            batch = {"image": to_signed(images[rows]), "label": label}
            found.append(np.asarray(measure(params, batch, image_keys(seed, start, len(rows)))))
            bar.advance(min(portion(), n - start))
    return np.concatenate(found)[:n].astype(float)
