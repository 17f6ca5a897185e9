"""The feature network of a prepared set: trained once, cached beside it, and named by the hash of its weights.

The metrics compare pictures in the penultimate layer of a classifier of the catalog's own attributes (M1), so that
they see what matters in this shop and need no outside weights. Two records may be compared where they name the same
weights. The cache is `DIR/features/SEED/`: `weights.safetensors`, and `network.json`, which is written last. The demo
shop's networks come with the package.
"""

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, PyTree, UInt8
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.data.halves import labels_of_training, part_of_training
from prodgen_jax.data.images import blocks_of, to_signed
from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.errors import InputError
from prodgen_jax.methods import classifier
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.spec import Spec
from prodgen_jax.progress import Progress
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.loop import LoopSettings, loop
from prodgen_jax.training.weights import SHIPPED, hash_weights

FORMAT = 1
BATCH = 128  # examples a training step
BLOCK = 256  # pictures put through the network at once
EPOCHS, LEAST_STEPS, MOST_STEPS = 4, 300, 1000  # 1000 steps at 32 px: 2 to 3 minutes on 2 cores
EYE_SEED, EYE_STEPS = 2, 300  # of the network that perceptual losses look through: never one that measures
AUGMENT = AugmentSettings(flip=True, shift=0.06)  # 2 of 32 pixels


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A trained classifier and what is known of it.

    identity: what it was trained with: format, prepared set's fingerprint, seed, steps, batch, classifier settings.
    accuracy: on the test split, {attribute: {"accuracy", "majority" (the commonest value's share), "values", "n"}}.
    """

    params: PyTree
    settings: classifier.Settings
    spec: Spec
    identity: Mapping
    accuracy: Mapping[str, Mapping[str, float]]

    @cached_property
    def weights_sha256(self) -> str:
        return hash_weights(named(self.params))

    def features(self, images: UInt8[Array, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        """The penultimate layer, float32. InputError if the pictures are not uint8 of the set's size."""
        return self._read(images)[0]

    def predict(self, images: UInt8[Array, "n h w 3"]) -> dict[str, Int[np.ndarray, "n"]]:
        """{attribute: index of the most likely value}, among the values that its head knows."""
        _, places = self._read(images)
        return {name: np.asarray(self.settings.classes[name])[place] for name, place in places.items()}

    def _read(self, images: UInt8[Array, "n h w 3"]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        check_images(images, self.spec.size)
        parts = [
            jax.tree.map(lambda rows, n=n: np.asarray(rows)[:n], self._forward(self.params, full))
            for full, n in blocks_of(images, BLOCK)
        ]
        return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)

    @cached_property
    def _forward(self):
        graph = nnx.graphdef(nnx.eval_shape(lambda: classifier.network(self.settings, self.spec, jax.random.key(0))))

        @jitted
        def forward(params: PyTree, images: UInt8[Array, "b h w 3"]) -> tuple[Array, dict[str, Array]]:
            net = nnx.merge(graph, params, copy=True)
            features = net.features(to_signed(images))
            return features, {name: logits.argmax(-1) for name, logits in net.read(features).items()}

        return forward


def check_images(images: UInt8[Array, "n h w 3"], size: int, least: int = 1) -> None:
    """InputError unless these are `least` or more uint8 pictures of `size` pixels."""
    shape, dtype = np.shape(images), getattr(images, "dtype", None)
    if dtype != np.uint8 or shape[1:] != (size, size, 3):
        raise InputError(f"samples: {dtype} {shape}, expected uint8 [n {size} {size} 3] like the prepared set")
    if len(images) < least:
        raise InputError(f"samples: only {len(images)}; draw {least} or more")


def feature_network(
    prepared: PreparedSet,
    *,
    steps: int | None = None,
    seed: int = 0,
    half: int | None = None,
    measured: bool = True,
    **shape: int,
) -> FeatureNetwork:
    """The feature network of a prepared set: read from the cache or the package, or trained and put in the cache.

    steps: of training, with batches of 128; None takes 4 epochs, but 300 to 1000 steps. half: 0 or 1 trains on that
    half of the training photos alone, None on all. measured: whether its accuracy on the test split is to be known,
    should it be trained now. shape: the classifier's `width` and `features`, if others than usual. A network with
    another `seed` or half has other weights, and a cache of its own. One that was trained otherwise, or on other data,
    is trained again; so is a damaged one, with a warning. A prepared set that cannot be written to is cached in the
    user's cache folder. InputError if no attribute has two values with 20 pictures each.
    """
    identity, settings = plan(prepared, steps, seed, half, shape)
    name = str(seed) if half is None else f"{seed}-half{half}"
    places = [folder / name for folder in cache_folders(prepared)]
    for place in (*places, SHIPPED / "features" / prepared.fingerprint[:16] / name):
        found = read_cached(place, identity, settings, Spec.of(prepared))
        if found is not None:
            return found
    network = train(prepared, identity, settings, measured)
    place = next((place for place in places if writable(place)), None)
    if place is None:
        warnings.warn(f"the feature network was not kept: none of {places} can be written to", stacklevel=2)
    else:
        write_cached(place, network)
    return network


def eye_of(prepared: PreparedSet) -> PyTree:
    """The parameters of the network that perceptual losses look through. Of the set it reads the training split alone.

    InputError as `feature_network`'s.
    """
    return feature_network(prepared, steps=EYE_STEPS, seed=EYE_SEED, measured=False).params


def plan(
    prepared: PreparedSet, steps: int | None, seed: int, half: int | None, shape: Mapping[str, int]
) -> tuple[dict, classifier.Settings]:
    """What a network would be trained with: (its identity, the classifier's settings)."""
    if steps is None:
        steps = int(np.clip(EPOCHS * prepared.splits["train"] // BATCH, LEAST_STEPS, MOST_STEPS))
    classes = classifier.useful_classes(labels_of_training(prepared, half))
    if not classes:
        raise InputError(
            f"{prepared.path}: no attribute has two values with {classifier.LEAST_ROWS} training pictures each; "
            "the feature network needs one, prepare the set with such an attribute"
        )
    settings = classifier.Settings(steps=steps, classes=classes, **shape)
    identity = {"format": FORMAT, "fingerprint": prepared.fingerprint, "seed": seed, "batch": BATCH}
    identity |= {} if half is None else {"half": half}
    return {**identity, "settings": json.loads(json.dumps(asdict(settings)))}, settings


def train(prepared: PreparedSet, identity: Mapping, settings: classifier.Settings, measured: bool) -> FeatureNetwork:
    """Train on the train split, or the half of it that the identity names; measure on the test split."""
    spec, photos = Spec.of(prepared), part_of_training(prepared, identity.get("half"))
    with Progress(settings.steps, "feature network") as bar:
        network = FeatureNetwork(learned(settings, spec, photos, identity["seed"], bar), settings, spec, identity, {})
    return replace(network, accuracy=accuracies(network, prepared.split("test"))) if measured else network


def learned(
    settings: classifier.Settings,
    spec: Spec,
    photos: Split,
    seed: int,
    bar: Progress,
    harder: Callable[[Method], Method] = lambda method: method,
) -> PyTree:
    """The parameters of a classifier of these photos' labels, on the host.

    bar: advanced by every step. harder: what makes another game of the classifier's.
    """
    batch, method = min(BATCH, len(photos)), harder(classifier.build(settings, spec))
    before = 0
    for tick in loop(method, photos, LoopSettings(batch=batch), AUGMENT, seed=seed, stop=settings.steps, devices=1):
        bar.advance(tick.step - before)
        before = tick.step
    return jax.tree.map(np.asarray, tick.host_state().params["net"])


def accuracies(network: FeatureNetwork, split: Split) -> dict[str, dict[str, float]]:
    """Accuracy per attribute over the pictures whose value the head knows, beside the commonest value's share."""
    found = {}
    for name, guess in network.predict(split.images).items():
        known = np.isin(split.labels[name], network.settings.classes[name])
        truth, n = split.labels[name][known], int(known.sum())
        commonest = np.bincount(truth).max() / n if n else 0.0
        hit = np.mean(guess[known] == truth) if n else 0.0
        values = len(network.settings.classes[name])
        found[name] = {"accuracy": float(hit), "majority": float(commonest), "values": values, "n": n}
    return found


# --- the cache ----------------------------------------------------------------------------------------------------


def cache_folders(prepared: PreparedSet) -> tuple[Path, Path]:
    """Where a set's networks may stand: beside it, else in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return prepared.path / "features", home / "prodgen_jax" / "features" / prepared.fingerprint[:16]


def writable(folder: Path) -> bool:
    """Whether a file can be made there; tried, because permission bits do not tell of a read-only mount."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def paths(params: PyTree) -> list[str]:
    """The name of each leaf, in the order of the leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def named(params: PyTree) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in zip(paths(params), jax.tree.leaves(params), strict=True)}


def write_cached(folder: Path, network: FeatureNetwork) -> None:
    """Weights, then the note that vouches for them; each appears whole or not at all."""
    weights = named(network.params)
    note = {"identity": network.identity, "accuracy": network.accuracy, "weights_sha256": network.weights_sha256}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        save_file(weights, f"{scratch}/weights.safetensors")
        Path(scratch, "network.json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        for name in ("weights.safetensors", "network.json"):
            os.replace(f"{scratch}/{name}", folder / name)


def read_cached(folder: Path, identity: Mapping, settings: classifier.Settings, spec: Spec) -> FeatureNetwork | None:
    """The network that stands there, if it is whole and the one that is asked for."""
    try:
        note = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        if note["identity"] != identity:
            return None
        weights = load_file(folder / "weights.safetensors")
        whole = hash_weights(weights) == note["weights_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        whole = False
    if not whole:
        warnings.warn(f"{folder}: the cached feature network is damaged; training it again", stacklevel=3)
        return None
    shape = jax.eval_shape(classifier.build(settings, spec).init, jax.random.key(0))[0]["net"]
    params = jax.tree.unflatten(jax.tree.structure(shape), [weights[name] for name in paths(shape)])
    return FeatureNetwork(params, settings, spec, identity, note["accuracy"])
