"""Batches by step: every picture once an epoch, the same at any start, by either route, with its own labels."""

from itertools import islice

import jax
import numpy as np
import pytest

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.loader import make_batch, open_feed, order, order_of
from prodgen_jax.data.prepared import Split
from prodgen_jax.errors import InputError

N, BATCH = 10, 4


@pytest.fixture
def split():
    """Ten pictures; each shows its row's number everywhere, and its labels tell it, too."""
    rows = np.arange(N)
    images = np.broadcast_to(rows[:, None, None, None], (N, 4, 4, 3)).astype(np.uint8)
    strings = np.array([str(i) for i in rows])
    return Split(images, {"row": rows.astype(np.int32), "odd": (rows % 2).astype(np.int32)}, *[strings] * 3)


def batches(feed, start, count):
    """The pictures' and labels' rows of some steps."""
    found = []
    for source, rows in islice(feed.batches(start), count):
        source = feed.shared if source is None else source
        found.append((source["image"][rows][:, 0, 0, 0].tolist(), source["label"]["row"][rows].tolist()))
    return found


@pytest.mark.parametrize("n, batch", [(10, 4), (10, 5), (3, 8), (1, 2)])
def test_every_epoch_is_another_permutation(n, batch):
    rows = order(n, batch, seed=0)
    run = np.concatenate([rows(step) for step in range(n * 6)])
    epochs = run.reshape(-1, n)
    assert (np.sort(epochs, 1) == np.arange(n)).all() and run.dtype == np.int32
    if n > 3:
        assert len(np.unique(epochs, axis=0)) > 0.9 * len(epochs)


def test_the_position_is_the_step_alone():
    straight = [order(N, BATCH, 7)(step).tolist() for step in range(20)]
    rows = order(N, BATCH, 7)
    assert [rows(step).tolist() for step in (13, 2, 19, 0)] == [straight[step] for step in (13, 2, 19, 0)]
    assert order(N, BATCH, 8)(0).tolist() != straight[0]


def test_both_routes_give_the_same_batches_from_any_start(split):
    resident, stream = (open_feed(split, order_of(split, BATCH, 0), route, 0) for route in ("resident", "stream"))
    assert stream.shared is None and resident.shared is not None
    for start in (0, 7):
        wanted = batches(resident, start, 6)
        assert wanted == batches(stream, start, 6)
        assert wanted == [(rows, rows) for rows in (order(N, BATCH, 0)(start + i).tolist() for i in range(6))]


def test_auto_keeps_what_fits_on_the_device(split):
    size = split.images.nbytes
    assert open_feed(split, order_of(split, BATCH, 0), "auto", size).shared is not None
    assert open_feed(split, order_of(split, BATCH, 0), "auto", size - 1).shared is None


def test_labels_follow_their_pictures(split):
    """Mirrored, moved and turned, a picture of one value is that value still, and so is its label."""
    made = make_batch(AugmentSettings(flip=True, rotate=45, shift=0.3, zoom=0.3))
    rows = np.array([3, 9, 3, 0])
    source = open_feed(split, order_of(split, BATCH, 0), "resident", 0).shared
    batch = jax.jit(made)(source, rows, jax.random.split(jax.random.key(0), 4))
    np.testing.assert_allclose(batch["image"], to_signed(split.images[rows]), atol=1e-5)
    assert batch["label"]["row"].tolist() == rows.tolist() and batch["label"]["odd"].tolist() == [1, 1, 1, 0]


def test_unknown_routes_and_empty_splits(split):
    with pytest.raises(InputError, match="route=disk is not known; choose resident, stream or auto"):
        open_feed(split, order_of(split, BATCH, 0), "disk", 0)
    none = Split(split.images[:0], {}, *[split.ids[:0]] * 3)
    with pytest.raises(InputError, match="no pictures"):
        open_feed(none, order_of(none, BATCH, 0), "auto", 0)
