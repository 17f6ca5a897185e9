"""From a prepared split to batches: which pictures make up step s, and where they lie.

The position in the data is the step's number and nothing else, so every run can go on exactly where it stopped.
Two routes give the same kind of feed: `resident` keeps the whole split on the device as uint8 and sends indices;
`stream` reads each batch from disk ahead of time with grain, for a split that does not fit. One process of several
takes only its own part of each batch, and that is all that it reads on the second route.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Key

from prodgen_jax.data.augment import AugmentSettings, augmentation
from prodgen_jax.data.captions import EMBEDDING, TEXT, choose_phrasing
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import Split
from prodgen_jax.errors import InputError

Source = dict  # {"image": uint8 [n h w c], "label": {attribute: int32 [n], text: [n p l]}}, in memory or on the device


@dataclass(frozen=True)
class Feed:
    """Batches by step. `shared`: lies on every device for the whole run, None where each step brings its own.

    `batches(start)` yields (source, indices [b]) for steps start, start + 1, ...; source is None if shared, and b are
    the examples of a batch that belong to this process. Indices are [b d] where an example has a photo of d domains.
    """

    shared: Source | None
    batches: Callable[[int], Iterator[tuple[Source | None, Int[np.ndarray, "b ..."]]]]


def order(
    n: int, batch: int, seed: int, part: slice = slice(None), apart: tuple[int, ...] = ()
) -> Callable[[int], Int[np.ndarray, "b"]]:
    """step -> the rows of its batch, or of a part of it. Every epoch is a fresh permutation; batches run on across
    its end. apart: numbers that give other permutations."""

    @lru_cache(maxsize=2)
    def permutation(epoch: int) -> Int[np.ndarray, "n"]:
        return np.random.default_rng([seed, epoch, *apart]).permutation(n)

    def rows(step: int) -> Int[np.ndarray, "b"]:
        places = np.arange(step * batch, (step + 1) * batch)[part]
        epochs = places // n
        picked = [permutation(int(e))[places[epochs == e] % n] for e in np.unique(epochs)]
        return np.concatenate(picked).astype(np.int32)

    return rows


def order_of(
    split: Split, batch: int, seed: int, part: slice = slice(None)
) -> Callable[[int], Int[np.ndarray, "b ..."]]:
    """step -> its rows of the split [b]; of its domains [b d], each with an order and epochs of its own."""
    if not split.domains:
        return order(len(split), batch, seed, part)
    orders = [order(len(rows), batch, seed, part, apart=(i,)) for i, rows in enumerate(split.domains)]
    return lambda step: np.stack([rows[own(step)] for rows, own in zip(split.domains, orders, strict=True)], axis=1)


def source_of(split: Split, rows: slice | np.ndarray = slice(None)) -> Source:
    """The pictures and labels of some rows, read from disk."""
    return {"image": np.asarray(split.images[rows]), "label": {a: v[rows] for a, v in split.labels.items()}}


def resident(split: Split, rows: Callable) -> Feed:
    """The whole split goes to the device once; each step sends indices."""

    def batches(start: int):
        step = start
        while True:
            yield None, rows(step)
            step += 1

    return Feed(source_of(split), batches)


def stream(split: Split, rows: Callable, threads: int = 4) -> Feed:
    """Batches in the same order, read ahead from the memory map by grain's threads."""
    import grain.python as grain

    every = np.arange(len(rows(0)), dtype=np.int32)

    class Batches(grain.RandomAccessDataSource):
        """Record s is the batch of step s, so a start in the middle costs nothing."""

        def __len__(self) -> int:
            return 2**40

        def __getitem__(self, step: int) -> Source:
            return source_of(split, rows(step))

    def batches(start: int):
        ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        for source in grain.MapDataset.source(Batches())[start:].to_iter_dataset(ahead):
            yield source, every

    return Feed(None, batches)


def open_feed(split: Split, rows: Callable, route: str, memory: int) -> Feed:
    """rows: step -> what belongs to this process of its batch, as `order_of` has it.

    route: resident, stream, or auto: resident where the pictures take at most `memory` bytes.
    """
    check_route(split, route)
    if route == "auto":
        route = "resident" if split.images.nbytes <= memory else "stream"
    return ROUTES[route](split, rows)


ROUTES = {"resident": resident, "stream": stream}


def check_route(split: Split, route: str) -> None:
    """InputError where there is nothing to load, or no such way to load it."""
    if len(split) == 0:
        raise InputError("the training split has no pictures; prepare the set with more rows")
    if route not in (*ROUTES, "auto"):
        raise InputError(f"route={route} is not known; choose {', '.join(ROUTES)} or auto")


def make_batch(settings: AugmentSettings) -> Callable:
    """(source, indices [b], keys [b]) -> {"image": float [b h w c] in [-1, 1], "label": {attribute: int [b]}}.

    Of a product's captions (label `text` or `embedding`, [n p l]) one is drawn: [b l]. Where an example has a photo of
    d domains, images are [b d h w c] and labels [b d]; each photo is augmented by itself.
    """
    augment = augmentation(settings)

    def alone(keys: Key[Array, "b"], images: Float[Array, "b ... h w c"]) -> Float[Array, "b ... h w c"]:
        if images.ndim == 4:
            return augment(keys, images)
        own = jax.vmap(lambda key: jax.random.split(key, images.shape[1]))(keys)
        return jax.vmap(augment, in_axes=1, out_axes=1)(own, images)

    def batch(source: Source, indices: Int[Array, "b ..."], keys: Key[Array, "b"]) -> dict:
        label = {name: values[indices] for name, values in source["label"].items()}
        for name in label.keys() & {TEXT, EMBEDDING}:
            label[name] = choose_phrasing(keys, label[name])
        return {"image": alone(keys, to_signed(source["image"][indices])), "label": label}

    return batch
