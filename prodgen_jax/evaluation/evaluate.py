"""One record that says how good a set of samples is, and by what yardstick.

```
{"format": 1, "name": str, "against": split, "seed": int,
 "n":        {"given", "samples", "reference": pictures given, measured, and measured against},
 "samples":  MEASURES,              of the samples against the reference
 "floor":    MEASURES,              of as many training pictures: no generator should do better
 "ceiling":  MEASURES,              of as many draws of a Gaussian per pixel: the least that must be beaten
 "copies":   {...},                 summary of `copies.find_copies`
 "network":  {"weights_sha256", "seed", "steps", "fingerprint", "accuracy": {attribute: {...}}},
 "prepared": {"fingerprint", "size", "splits", "source"},
 "samples_sha256": str,
 "versions": {package: version}, "device": str, "seconds": float}
MEASURES = {"fcd", "kid", "kid_stderr", "precision", "recall", "density", "coverage", "vendi",
            "two_sample_accuracy", "two_sample_p"}
```
FCD is a Frechet distance over the catalog's own features. It is not the FID, which is over Inception's, and is
comparable between records that name the same weights, the same `against` and the same n alone: it falls with n.
Where a split keeps groups of like products together, its pictures are not independent: then even real held-out photos
stand a little above the floor, and a two-sample p of 0.001 need not mean a poor generator.
"""

import hashlib
import platform
import time
from importlib.metadata import version

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import sets
from prodgen_jax.evaluation.copies import find_copies, summary
from prodgen_jax.evaluation.features import FeatureNetwork, check_images, feature_network

FORMAT = 1
LEAST, MOST = 64, 5000  # pictures: fewer say nothing, more cost time alone
PACKAGES = ("jax", "flax", "numpy")


def evaluate(
    images: UInt8[Array, "n h w 3"],
    prepared: PreparedSet,
    *,
    network: FeatureNetwork | None = None,
    seed: int = 0,
    against: str = "test",
    name: str = "",
) -> dict:
    """Measure samples against a split; the record, ready for JSON, is described at the top of this file.

    images: uint8 [n size size 3], 64 or more; of more than 5000, or than there are training pictures, a random part
    is measured. network: the set's own, `feature_network(prepared)`, if None. seed: of all that is drawn here.
    InputError if the pictures are of another size or type, or too few on either side.
    """
    begun = time.monotonic()
    check_images(images, prepared.size, LEAST)
    network = network or feature_network(prepared)
    if network.spec.size != prepared.size:
        raise InputError(f"network: made for {network.spec.size} px, the prepared set has {prepared.size} px")
    rng = np.random.default_rng(seed)
    train = prepared.split("train").images
    n = min(len(images), len(train), MOST)
    if n < LEAST:
        raise InputError(f"{prepared.path}: {n} training pictures, a floor needs {LEAST} or more")
    reference = network.features(reference_images(prepared, against, rng))
    rivals = {"samples": some(images, n, rng), "floor": some(train, n, rng), "ceiling": pixel_gaussian(train, n, rng)}
    measured = {who: measure(reference, network.features(rows), rng) for who, rows in rivals.items()}
    copies = find_copies(rivals["samples"], prepared, seed=seed)
    return {
        "format": FORMAT,
        "name": name,
        "against": against,
        "seed": seed,
        "n": {"given": len(images), "samples": n, "reference": len(reference)},
        **measured,
        "copies": summary(copies),
        "network": describe(network),
        "prepared": {
            "fingerprint": prepared.fingerprint,
            "size": prepared.size,
            "splits": dict(prepared.splits),
            "source": prepared.meta.get("source", ""),
        },
        "samples_sha256": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "device": jax.devices()[0].device_kind,
        "seconds": round(time.monotonic() - begun, 2),
    }


def some(images: UInt8[Array, "n h w 3"], n: int, rng: np.random.Generator) -> UInt8[np.ndarray, "n h w 3"]:
    """n of the pictures, each at most once, in their order."""
    return np.asarray(images[np.sort(rng.choice(len(images), n, replace=False))])


def reference_images(prepared: PreparedSet, against: str, rng: np.random.Generator) -> UInt8[np.ndarray, "n h w 3"]:
    images = prepared.split(against).images
    if len(images) < LEAST:
        raise InputError(f"{prepared.path}: {len(images)} pictures in '{against}', measuring needs {LEAST} or more")
    return some(images, min(len(images), MOST), rng)


def pixel_gaussian(train: UInt8[Array, "n h w 3"], n: int, rng: np.random.Generator) -> UInt8[np.ndarray, "n h w 3"]:
    """n draws of independent Gaussians, one per pixel and channel, with the training pictures' mean and spread."""
    seen = some(train, min(len(train), MOST), rng).astype(np.float32)
    drawn = rng.normal(seen.mean(0), seen.std(0), size=(n, *seen.shape[1:]))
    return drawn.round().clip(0, 255).astype(np.uint8)


def measure(reference: Float[Array, "n d"], found: Float[Array, "m d"], rng: np.random.Generator) -> dict[str, float]:
    """All set measures of `found` against `reference`, from their features."""
    kid, stderr = sets.kid(reference, found)
    precision, recall = sets.precision_recall(reference, found)
    density, coverage = sets.density_coverage(reference, found)
    accuracy, p = sets.two_sample_test(reference, found, rng)
    return {
        "fcd": sets.frechet_distance(reference, found),
        "kid": kid,
        "kid_stderr": stderr,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "vendi": sets.vendi(found),
        "two_sample_accuracy": accuracy,
        "two_sample_p": p,
    }


def describe(network: FeatureNetwork) -> dict:
    """What a record says of the network that it was measured by."""
    return {
        "weights_sha256": network.weights_sha256,
        "seed": network.identity["seed"],
        "steps": network.settings.steps,
        "fingerprint": network.identity["fingerprint"],
        "accuracy": {name: dict(scores) for name, scores in network.accuracy.items()},
    }
