"""One record that says how good a set of samples is, and by what yardstick; docs/records.md describes every field.

FCD is a Frechet distance over the catalog's own features. It is not the FID, which is over Inception's, and is
comparable between records that name the same weights, the same `against` and the same n alone: it falls with n.
Where a split keeps groups of like products together, its pictures are not independent: then even real held-out photos
stand a little above the floor, and a two-sample p of 0.001 need not mean a poor generator.
"""

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.categories import Labeled, by_category, pick_attribute
from prodgen_jax.evaluation.control import accuracy, control_network
from prodgen_jax.evaluation.copies import find_copies, summary
from prodgen_jax.evaluation.inception import Inception, fid_report
from prodgen_jax.evaluation.intervals import LEVEL, RESAMPLES
from prodgen_jax.evaluation.measures import interval, measure
from prodgen_jax.evaluation.selftest import self_test
from prodgen_jax.evaluation.shop import report as shop_report
from prodgen_jax.evaluation.style import drift
from prodgen_jax.evaluation.usefulness import usefulness
from prodgen_jax.training.features import FeatureNetwork, check_images, feature_network

FORMAT = 1
LEAST, MOST = 64, 5000  # pictures: fewer say nothing, more cost time alone
PACKAGES = ("jax", "flax", "numpy")
SIDES = ("reference", "samples", "floor")  # of what is measured per category


def evaluate(
    images: UInt8[Array, "n h w 3"],
    prepared: PreparedSet,
    *,
    network: FeatureNetwork | None = None,
    seed: int = 0,
    against: str = "test",
    name: str = "",
    asked: Mapping[str, Int[np.ndarray, "n"]] | None = None,
    judge: FeatureNetwork | None = None,
    category: str | None = None,
    test_measures: bool = False,
    useful_for: str | None = None,
    inception: Inception | None = None,
) -> dict:
    """Measure samples against a split; the record, ready for JSON, is described in docs/records.md.

    images: uint8 [n size size 3], 64 or more; of more than 5000, or than there are training pictures, a random part is
    measured. network: the set's own, `feature_network(prepared)`, if None. seed: of all that is drawn here. asked:
    {attribute: index of the value that each picture should have}; how far they do is read by `judge`,
    `control_network(prepared)` if None. category: the attribute to part by; None takes the one with the most values
    that can be measured. test_measures: first put every measure to its own test (`selftest`), ten seconds. useful_for:
    an attribute that was asked for; classifiers of it then learn from the samples (`usefulness`), minutes. inception:
    the real FID too, over these features (`evaluation.inception`), a second for ten pictures. InputError if the
    pictures are of another size or type, or too few on either side, or were not asked for that.
    """
    begun = time.monotonic()
    check_images(images, prepared.size, LEAST)
    check_splits(prepared, against)
    check_useful(useful_for, asked or {})
    network = network or feature_network(prepared)
    check_network(network, prepared)
    rng = np.random.default_rng(seed)
    sets = gather(images, prepared, against, network, rng)
    made, rows = sets["samples"].images, sets["samples"].rows
    asked = {key: np.asarray(values)[rows] for key, values in (asked or {}).items()}
    record = {
        "format": FORMAT,
        "name": name,
        "against": against,
        "seed": seed,
        "n": {"given": len(images), "samples": len(rows), "reference": len(sets["reference"].rows)},
        **measures(sets, rng),
        "copies": summary(find_copies(made, prepared, seed=seed), rows=rows),
        **by_value(sets, prepared, against, asked, network, category),
        "style": drift(sets["reference"].images, made),
        "network": describe(network),
        "prepared": about(prepared),
        "samples_sha256": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        **made_with(),
    }
    if asked:
        judge = judge or control_network(prepared)
        record["control"] = {"network": describe(judge), "attributes": accuracy(made, asked, judge, prepared, seed)}
    if test_measures:
        record["self_test"] = self_test(network, sets["reference"].features, prepared.split("train").images, rng)
    if inception is not None:
        record["fid"] = fid_report({who: found.images for who, found in sets.items()}, inception)
    if useful_for is not None:
        record["usefulness"] = usefulness(made, asked[useful_for], prepared, useful_for, against=against)
    return json.loads(json.dumps({**record, "seconds": round(time.monotonic() - begun, 2)}))  # as it will be read back


def check_network(network: FeatureNetwork, prepared: PreparedSet) -> None:
    """InputError where a network is for pictures of another size than the set's."""
    if network.spec.size != prepared.size:
        raise InputError(f"network: made for {network.spec.size} px, the prepared set has {prepared.size} px")


def check_useful(attribute: str | None, asked: Mapping) -> None:
    """InputError where classifiers of an attribute are to learn from samples that were not asked for it."""
    if attribute is not None and attribute not in asked:
        raise InputError(
            f"usefulness: the samples were not asked for '{attribute}', but for {', '.join(asked) or 'nothing'}"
        )


def check_splits(prepared: PreparedSet, against: str = "test") -> None:
    """InputError where the training photos, or those to measure against, are too few."""
    for where in ("train", against):
        found = len(prepared.split(where))
        if found < LEAST:
            raise InputError(
                f"{prepared.path}: {found} photos in '{where}', measuring needs {LEAST} or more; "
                "prepare a larger set, or with larger shares (--test 0.2)"
            )


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one kind, their rows where they were taken from, and their features."""

    rows: Int[np.ndarray, "n"]
    images: UInt8[np.ndarray, "n h w 3"]
    features: Float[np.ndarray, "n d"]


def gather(
    images: UInt8[Array, "n h w 3"], prepared: PreparedSet, against: str, network: FeatureNetwork, rng
) -> dict[str, Pictures]:
    """The reference, and as many samples, training photos ("floor") and draws of a Gaussian per pixel ("ceiling")."""
    train, held = prepared.split("train").images, prepared.split(against).images
    n = min(len(images), len(train), MOST)

    def taken(whole: UInt8[Array, "m h w 3"], count: int) -> Pictures:
        rows = np.sort(rng.choice(len(whole), count, replace=False))
        part = np.asarray(whole[rows])
        return Pictures(rows, part, network.features(part))

    found = {"reference": taken(held, min(len(held), MOST)), "samples": taken(images, n), "floor": taken(train, n)}
    noise = pixel_gaussian(train, n, rng)
    return {**found, "ceiling": Pictures(np.arange(n), noise, network.features(noise))}


def pixel_gaussian(train: UInt8[Array, "n h w 3"], n: int, rng: np.random.Generator) -> UInt8[np.ndarray, "n h w 3"]:
    """n draws of independent Gaussians, one per pixel and channel, with the training pictures' mean and spread."""
    seen = np.asarray(train[np.sort(rng.choice(len(train), min(len(train), MOST), replace=False))], np.float32)
    drawn = rng.normal(seen.mean(0), seen.std(0), size=(n, *seen.shape[1:]))
    return drawn.round().clip(0, 255).astype(np.uint8)


def measures(sets: Mapping[str, Pictures], rng: np.random.Generator) -> dict:
    """{"samples", "floor", "ceiling": their measures, "intervals": those of the first two}."""
    real = sets["reference"].features
    found = {who: measure(real, sets[who].features, rng) for who in ("samples", "floor", "ceiling")}
    sure = {who: interval(real, sets[who].features, found[who], rng) for who in ("samples", "floor")}
    return {**found, "intervals": {"level": LEVEL, "resamples": RESAMPLES, **sure}}


def by_value(
    sets: Mapping[str, Pictures],
    prepared: PreparedSet,
    against: str,
    asked: Mapping[str, Int[np.ndarray, "n"]],
    network: FeatureNetwork,
    category: str | None,
) -> dict:
    """{"categories", "shop"}: what is measured per category. A sample is of the category that was asked for, else of
    the one that the network reads."""
    read = {**network.predict(sets["samples"].images), **asked}
    held, train = prepared.split(against).labels, prepared.split("train").labels
    columns = {
        name: (held[name][sets["reference"].rows], values, train[name][sets["floor"].rows])
        for name, values in read.items()
    }
    name = pick_attribute(prepared, columns, category)
    sides = (Labeled(sets[who].features, column) for who, column in zip(SIDES, columns[name], strict=True))
    values = prepared.attributes[name]
    source = {"attribute": name, "by": "asked" if name in asked else "read"}
    shop = shop_report(
        sets["samples"].images, sets["reference"].images, (columns[name][1], columns[name][0]), dict(enumerate(values))
    )
    return {"categories": {**source, **by_category(values, *sides)}, "shop": {**source, **shop}}


def made_with() -> dict:
    """What a record says of where it was made."""
    versions = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    return {"versions": versions, "device": jax.devices()[0].device_kind}


def about(prepared: PreparedSet) -> dict:
    """What a record says of the data."""
    return {
        "fingerprint": prepared.fingerprint,
        "size": prepared.size,
        "splits": dict(prepared.splits),
        "source": prepared.meta.get("source", ""),
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
