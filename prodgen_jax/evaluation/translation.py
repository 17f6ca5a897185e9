"""Does a model that makes pictures of pictures make the right ones? Beside what costs nothing (M9, M11).

Such a model is given what its task leaves of held-out photos, and its pictures are compared with those photos, one by
one and as a set. Two baselines must be beaten: the source as it is, and the mean training photo of the product's kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Int, UInt8

from prodgen_jax.data.augment import COLOUR_WORDS
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.data.tasks import enlarged, shrunk
from prodgen_jax.evaluation.control import askable, spoken
from prodgen_jax.evaluation.paired import compare
from prodgen_jax.evaluation.sets import frechet_distance
from prodgen_jax.methods.core import SOURCE
from prodgen_jax.sampling.sample import draw
from prodgen_jax.sampling.translate import enlarges, portions, sources
from prodgen_jax.training.features import FeatureNetwork
from prodgen_jax.training.run import Run


@dataclass(frozen=True, eq=False)
class Pairs:
    """Held-out photos, what a run was given of them, what it made, and the attributes that it was told.

    lanczos: for a run that enlarges, its small pictures enlarged so; the source itself is enlarged by bicubic.
    """

    rows: Int[np.ndarray, "n"]
    photos: UInt8[np.ndarray, "n h w 3"]
    given: UInt8[np.ndarray, "n h w 3"]
    made: UInt8[np.ndarray, "n h w 3"]
    asked: Mapping[str, Int[np.ndarray, "n"]]
    lanczos: UInt8[np.ndarray, "n h w 3"] | None = None


def translated(run: Run, prepared: PreparedSet, against: str, n: int, seed: int) -> Pairs:
    """n photos of a split, or as many as it has, translated; a conditional run is told their own attributes."""
    split = prepared.split(against)
    rows = np.sort(np.random.default_rng(seed).permutation(len(split))[:n])
    photos = np.asarray(split.images[rows])
    asked = {name: split.labels[name][rows].astype(np.int32) for name in askable(run, prepared)}
    source = sources(run, photos)
    cond = {SOURCE: source, **spoken(run, prepared, asked)}
    made = draw(run.method, run.params, len(rows), seed, cond)
    return Pairs(rows, photos, to_uint8(source), made, asked, by_lanczos(run, photos))


def by_lanczos(run: Run, photos: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n h w 3"] | None:
    """Photos made small as the run's task does, enlarged by Lanczos' filter (a = 3); None where it does not enlarge."""
    times = enlarges(run)
    if not times:
        return None
    grow = jax.jit(lambda x: enlarged(shrunk(x, times), times, "lanczos3"))
    return np.concatenate([to_uint8(np.asarray(grow(to_signed(part)))) for part in portions(photos)])


def paired_report(pairs: Pairs, prepared: PreparedSet, against: str, network: FeatureNetwork) -> dict:
    """{"n", "kind", "made", "source", "mean"}: PSNR, SSIM, color error and FCD of what was made and of the baselines,
    {"lanczos"} among them where pictures are enlarged.

    kind: the attribute of whose values the mean photos are.
    """
    kind = kind_of(prepared)
    labels = prepared.split(against).labels[kind][pairs.rows] if kind else np.full(len(pairs.rows), -1)
    sides = {"made": pairs.made, "source": pairs.given, "mean": mean_photos(prepared, kind)[labels]}
    sides |= {} if pairs.lanczos is None else {"lanczos": pairs.lanczos}
    real, ids = network.features(pairs.photos), [str(row) for row in pairs.rows]
    found = {}
    for who, images in sides.items():
        fcd = frechet_distance(real, network.features(images))
        found[who] = {**compare(images, pairs.photos, ids, ids), "fcd": fcd}
    return {"n": len(ids), "kind": kind, **found}


def kind_of(prepared: PreparedSet) -> str:
    """The attribute that says best what a product looks like: the one with the most values that is no color's."""
    shapes = [name for name in prepared.attributes if not any(word in name.lower() for word in COLOUR_WORDS)]
    return max(shapes, key=lambda name: len(prepared.attributes[name]), default="")


def mean_photos(prepared: PreparedSet, kind: str) -> UInt8[np.ndarray, "values+1 h w 3"]:
    """The mean training photo of each of an attribute's values, and behind them that of all (which -1 finds)."""
    split, values = prepared.split("train"), len(prepared.attributes.get(kind, ()))
    labels = split.labels[kind] if kind else np.full(len(split), -1)
    sums = np.zeros((values + 1, *split.images.shape[1:]))
    for start in range(0, len(split), 1024):
        part = slice(start, start + 1024)
        np.add.at(sums, labels[part], np.asarray(split.images[part], np.float64))
    counts = np.bincount(np.where(labels < 0, values, labels), minlength=values + 1)
    sums[values], counts[values] = sums.sum(0), len(split)
    sums[counts == 0], counts[counts == 0] = sums[values], len(split)  # a value without a photo has the mean of all
    return (sums / counts[:, None, None, None]).round().astype(np.uint8)
