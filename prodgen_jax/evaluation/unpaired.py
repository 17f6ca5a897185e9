"""Does a model that was shown no pairs make pictures of the other domain, and keep the rest? (M10)

There is no right picture to compare with. The second network, which had no part in training, reads what was made of
held-out photos: whether it has the attributes of the domain that it was to reach, and still those that it was to keep,
beside what that network reads of the photos as they are and of real photos of that domain.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from prodgen_jax.data.domains import Domain, in_words, rows_of
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import wilson
from prodgen_jax.evaluation.paired import compare
from prodgen_jax.evaluation.sets import kid
from prodgen_jax.methods.core import SOURCE, Method
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.features import FeatureNetwork
from prodgen_jax.training.run import Run

LEAST = 10  # held-out photos of a domain
TRAINED = "train"

Photos = UInt8[Array, "n h w 3"]
Labels = Mapping[str, Int[np.ndarray, "n"]]


def photos_of(domain: Domain, prepared: PreparedSet, splits: Sequence[str]) -> tuple[Photos, Labels]:
    """(a domain's photos in some splits, their labels)."""
    parts = [(split, rows_of(domain, split.labels, prepared.attributes)) for split in map(prepared.split, splits)]
    images = np.concatenate([np.asarray(split.images[rows]) for split, rows in parts])
    labels = {name: np.concatenate([split.labels[name][rows] for split, rows in parts]) for name in prepared.attributes}
    return images, labels


def unpaired_report(run: Run, prepared: PreparedSet, judge: FeatureNetwork, network: FeatureNetwork, seed: int) -> dict:
    """{"there": from the first domain to the second, "back": the other way}, on all photos that are not trained on.

    reached, kept: shares, {attribute: {"made", "interval", "source", and, of what is reached, "real"}}.
    cycle: of the pictures there and back with the photos: PSNR, SSIM, color error. kid: the kernel distance of what was
    made, of the photos as they are and of real ones to the training photos of the domain to reach.
    InputError where a domain has fewer than 10 such photos.
    """
    held = [name for name in prepared.splits if name != TRAINED]
    found = [photos_of(domain, prepared, held) for domain in run.method.domains]
    for domain, (images, _) in zip(run.method.domains, found, strict=True):
        if len(images) < LEAST:
            raise InputError(
                f"{prepared.path}: {len(images)} held-out photos of the domain {in_words(domain)}, "
                f"measuring needs {LEAST} or more"
            )
    ways = {"there": run.sampling_with({"back": False}), "back": run.sampling_with({"back": True})}
    report, sides = {}, [(*run.method.domains, *found), (*run.method.domains[::-1], *found[::-1])]
    for (name, method), (own, target, photos, real) in zip(ways.items(), sides, strict=True):
        again = ways["back" if name == "there" else "there"]
        made = passed(method, run, photos[0], seed)
        ids = [str(i) for i in range(len(made))]
        wanted = photos_of(target, prepared, [TRAINED])[0]
        report[name] = {
            "from": dict(own),
            "to": dict(target),
            "n": len(made),
            **attributes(judge, prepared, made, photos, real, own, target),
            "cycle": compare(passed(again, run, made, seed), photos[0], ids, ids),
            "kid": distances(network, wanted, {"made": made, "source": photos[0], "real": real[0]}),
        }
    return report


def passed(method: Method, run: Run, images: Photos, seed: int) -> UInt8[np.ndarray, "n h w 3"]:
    return draw(method, run.params, len(images), seed, {SOURCE: to_signed(images)})


def attributes(
    judge: FeatureNetwork,
    prepared: PreparedSet,
    made: Photos,
    photos: tuple[Photos, Labels],
    real: tuple[Photos, Labels],
    own: Domain,
    target: Domain,
) -> dict[str, dict]:
    """{"reached", "kept"}: of the attributes that the judge reads."""
    sides = {"made": judge.predict(made), "source": judge.predict(photos[0]), "real": judge.predict(real[0])}
    reached, kept = {}, {}
    for name, classes in judge.settings.classes.items():
        if name in target and target.get(name) != own.get(name):
            value = prepared.attributes[name].index(target[name])
            if value in classes:
                reached[name] = shares({who: read[name] == value for who, read in sides.items()})
        else:
            known = np.isin(photos[1][name], classes)
            if known.sum() >= LEAST:
                right = {who: (sides[who][name] == photos[1][name])[known] for who in ("made", "source")}
                kept[name] = shares(right)
    return {"reached": reached, "kept": kept}


def shares(right: Mapping[str, np.ndarray]) -> dict:
    made = right["made"]
    found = {who: float(hits.mean()) for who, hits in right.items()}
    return {**found, "interval": wilson(int(made.sum()), len(made)), "n": len(made)}


def distances(network: FeatureNetwork, wanted: Photos, sides: Mapping[str, Photos]) -> dict[str, float]:
    features: Float[np.ndarray, "n d"] = network.features(wanted)
    return {who: kid(features, network.features(images))[0] for who, images in sides.items()}


def unpaired_lines(report: Mapping) -> list[str]:
    """A report as a person wants it."""
    said = []
    for way in (report["there"], report["back"]):
        said.append(f"{way['n']} of {in_words(way['from'])} -> {in_words(way['to'])}")
        for name, found in way["reached"].items():
            beside = f"(as they are {found['source']:.1%}, real ones {found['real']:.1%})"
            said.append(f"{name} reached: {found['made']:.1%} {beside}")
        kept = ", ".join(
            f"{name} {found['made']:.1%} (before {found['source']:.1%})" for name, found in way["kept"].items()
        )
        said.append(f"kept: {kept}")
        said.append("there and back: {psnr_db:.1f} dB, color error {color_error:.2f}".format(**way["cycle"]))
        said.append("KID {made:.3f} (as they are {source:.3f}, real ones {real:.3f})".format(**way["kid"]))
    return said
