"""What are samples worth to somebody who trains on them? A classifier learns from them and reads real photos (E10).

Three questions, each over several seeds of training: what does a classifier learn from samples alone, beside as many
real photos (Ravuri & Vinyals 2019 call the first the classification accuracy score); and what do samples add where
only a small share of the real photos has labels. All classifiers are alike and take equally many steps, whatever they
learn from; none of them measures anything else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Array, Int, UInt8

from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import over_seeds
from prodgen_jax.methods import classifier
from prodgen_jax.methods.spec import Spec
from prodgen_jax.progress import Progress
from prodgen_jax.training.features import FeatureNetwork, check_images, learned

SHARES = (0.01, 0.05, 0.25)  # of the training photos that have labels
STEPS, WIDTH, FEATURES = 300, 16, 64  # of each classifier: half as wide as the one that measures
LEAST = 64  # samples with a label that can be learned, and training photos in a share


def usefulness(
    images: UInt8[Array, "n h w 3"],
    wanted: Int[np.ndarray, "n"],
    prepared: PreparedSet,
    attribute: str,
    *,
    seeds: int = 3,
    steps: int = STEPS,
    against: str = "test",
) -> dict:
    """The accuracy, on real photos of a split, of classifiers of one attribute; docs/records.md names the fields.

    wanted: the value that each sample was asked for, -1 where none. Takes eight trainings of `steps` for each of
    `seeds`. InputError where the attribute cannot be learned, or too few samples have a value of it.
    """
    check_images(images, prepared.size)
    train = prepared.split("train")
    classes = classifier.useful_classes(train.labels).get(attribute)
    if classes is None:
        raise InputError(f"{attribute}: no attribute with two values that 20 training photos or more have")
    samples = only(images, wanted, attribute)
    if (n := int(np.isin(wanted, classes).sum())) < LEAST:
        raise InputError(f"{attribute}: {n} samples with a value that can be learned, {LEAST} are needed")
    settings = classifier.Settings(WIDTH, FEATURES, steps=steps, classes={attribute: classes})
    spec, held = Spec.of(prepared), prepared.split(against)
    shares = [share for share in SHARES if share * len(train) >= LEAST]

    def score(photos: Split, seed: int, bar: Progress) -> float:
        return share_right(pupil(settings, spec, photos, seed, bar), held, attribute, classes)

    rows = []  # of each seed: real, samples, then alone and with samples for each share
    with Progress(seeds * (2 + 2 * len(shares)) * steps, f"usefulness of samples for {attribute}") as bar:
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(train))
            few = [part(train, order[: int(share * len(train))], attribute) for share in shares]
            real = part(train, order[: len(images)], attribute)
            sets = [real, samples, *(photos for at in few for photos in (at, joined(at, samples)))]
            rows.append([score(photos, seed, bar) for photos in sets])
    return summary(np.array(rows), shares, len(train)) | {
        "attribute": attribute,
        "values": len(classes),
        "n": len(images),
        "steps": steps,
        "seeds": seeds,
        "commonest": commonest(held.labels[attribute], classes),
    }


def pupil(
    settings: classifier.Settings, spec: Spec, photos: Split, seed: int, bar: Progress
) -> Callable[[UInt8[Array, "n h w 3"]], Int[np.ndarray, "n"]]:
    """What a classifier of one attribute that learned from these photos reads in others."""
    network = FeatureNetwork(learned(settings, spec, photos, seed, bar), settings, spec, {}, {})
    (attribute,) = settings.classes
    return lambda images: network.predict(images)[attribute]


def share_right(read: Callable, held: Split, attribute: str, classes: Sequence[int]) -> float:
    """Of the photos with one of these values."""
    known = np.isin(held.labels[attribute], classes)
    return float(np.mean(read(held.images)[known] == held.labels[attribute][known]))


def summary(found: np.ndarray, shares: Sequence[float], n: int) -> dict:
    """found: accuracies [seeds, 2 + 2 shares]. Means with half of an interval over seeds."""
    gains = [
        {
            "share": share,
            "photos": int(share * n),
            "alone": over_seeds(found[:, 2 + 2 * i]),
            "with_samples": over_seeds(found[:, 3 + 2 * i]),
            "gain": over_seeds(found[:, 3 + 2 * i] - found[:, 2 + 2 * i]),  # of each seed, so that its luck cancels
        }
        for i, share in enumerate(shares)
    ]
    return {"real": over_seeds(found[:, 0]), "samples": over_seeds(found[:, 1]), "shares": gains}


def commonest(labels: Int[np.ndarray, "n"], classes: Sequence[int]) -> float:
    """What always naming the commonest value would get."""
    known = labels[np.isin(labels, classes)]
    return float(np.bincount(known).max() / len(known)) if len(known) else 0.0


# --- sets to learn from -------------------------------------------------------------------------------------------


def part(split: Split, rows: Int[np.ndarray, "m"], attribute: str) -> Split:
    """Some photos of a split, with one attribute."""
    rows = np.sort(rows)
    return only(np.asarray(split.images[rows]), split.labels[attribute][rows], attribute)


def only(images: UInt8[Array, "n h w 3"], labels: Int[np.ndarray, "n"], attribute: str) -> Split:
    """Pictures and one attribute as a split; they have no ids, texts or groups."""
    nothing = np.full(len(images), "")
    return Split(np.asarray(images), {attribute: np.asarray(labels, np.int32)}, nothing, nothing, nothing)


def joined(a: Split, b: Split) -> Split:
    """Both, one after the other."""
    names = ("images", "ids", "text", "group")
    both = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in names}
    return replace(a, labels={name: np.concatenate([a.labels[name], b.labels[name]]) for name in a.labels}, **both)
