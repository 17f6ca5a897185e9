"""The one training loop: it plays steps and hands each state on; what to log or save is its caller's business."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from prodgen_jax.data.augment import AugmentSettings, check_labels_survive
from prodgen_jax.data.loader import Feed, check_route, make_batch, open_feed, order_of
from prodgen_jax.data.prepared import Split
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, State, init_state
from prodgen_jax.methods.private import private
from prodgen_jax.training.accumulate import accumulated
from prodgen_jax.training.parallel import WAYS, compile_steps, first, here, host_rows, period, pick_devices, share
from prodgen_jax.training.privacy import check_private, drawn_by_coins, marked, places_for

POLICIES = ("stop", "skip")


@dataclass(frozen=True)
class LoopSettings:
    """What `--set` reaches of the loop and its data route."""

    batch: int = 32  # pictures per step, over all devices of all processes
    route: str = "auto"  # resident, stream, or auto
    resident_mb: int = 4096  # the largest split that auto keeps on the device, MB
    steps_per_dispatch: int = 1  # steps compiled into one call; several on GPU and TPU, one on CPU
    accumulate: int = 1  # parts that a device's share of a batch is played in, one after the other, to save memory
    parallel: str = "pmap"  # how devices play together: pmap or shard_map, with the same result
    nan: str = "stop"  # where a loss or gradient is no number: stop the run, or skip the step
    dp_noise: float = 0.0  # of DP-SGD: the noise's deviation, in clips, and `batch` is then a mean; 0: without it
    dp_clip: float = 1.0  # of DP-SGD: the largest norm of one photo's gradient


class Tick(NamedTuple):
    """After a dispatch: steps done so far, the state on all devices, metrics (device scalars) of its last step.

    bad: the first step and turn of the dispatch with a number that is not finite, as step * turns + turn, or NEVER.
    """

    step: int
    state: State
    metrics: dict
    bad: Array

    def host_state(self) -> State:
        """One copy of the state, off the device axis."""
        return first(self.state)


def check(
    method: Method, split: Split, settings: LoopSettings, augment: AugmentSettings, devices: int | None
) -> tuple[jax.Device, ...]:
    """The devices to play on. InputError where method, data, settings and devices do not fit together."""
    chosen = pick_devices(devices)
    check_route(split, settings.route)
    check_labels_survive(augment, method.conditions)
    check_rhythm(method, settings, len(chosen))
    if settings.dp_noise:
        check_private(method, settings.dp_noise, settings.dp_clip, settings.accumulate, settings.route)
    for name, known in (("parallel", WAYS), ("nan", POLICIES)):
        if getattr(settings, name) not in known:
            raise InputError(f"{name}={getattr(settings, name)} is not known; choose {' or '.join(known)}")
    return chosen


def check_rhythm(method: Method, settings: LoopSettings, devices: int) -> None:
    """InputError where batch, devices, steps per dispatch and the turns' rhythm do not fit together."""
    k, p, parts = settings.steps_per_dispatch, period(method), settings.accumulate
    if settings.batch < 1 or settings.batch % devices:
        raise InputError(f"batch={settings.batch} cannot be shared evenly by {devices} devices")
    if parts < 1 or settings.batch // devices % parts:
        raise InputError(f"accumulate={parts} cannot cut {settings.batch // devices} pictures into equal parts")
    if k < 1 or (k > 1 and k % p):
        raise InputError(f"steps_per_dispatch={k} must be 1 or a multiple of {p}, the rhythm of this method's turns")


def dispatches(
    feed: Feed, start: int, stop: int | None, k: int, devices: int
) -> Iterator[tuple[int, dict | None, np.ndarray]]:
    """(first step, source or None, indices [devices k b]) for each dispatch; the last one may be shorter.

    devices: those of this process, which the feed's batches are for.
    """
    batches = feed.batches(start)
    step = start
    while stop is None or step < stop:
        # A dispatch ends on a multiple of k, so that a resumed run meets the same turns at the same places.
        count = min(k - step % k, (stop - step) if stop is not None else k)
        sources, rows = zip(*islice(batches, count), strict=True)
        source = None
        if feed.shared is None:
            source = jax.tree.map(lambda *x: share(np.stack(x), devices), *sources)
            rows = [np.arange(len(r) // devices * devices) % (len(r) // devices) for r in rows]
        yield step, source, share(np.stack(rows).astype(np.int32), devices)
        step += count


def drawing(
    method: Method, split: Split, settings: LoopSettings, make: Callable, seed: int, devices: int
) -> tuple[Method, Callable, Callable]:
    """(the method, how its batches are made, step -> the rows of this process): as they are, or by DP-SGD."""
    photos, batch = len(split), settings.batch
    if not settings.dp_noise:
        return method, make, order_of(split, batch, seed, own_rows(batch))
    places = places_for(photos, batch, devices)
    rows = drawn_by_coins(photos, batch, seed, places, own_rows(places))
    return private(method, settings.dp_noise, settings.dp_clip, min(batch, photos)), marked(make), rows


def own_rows(batch: int) -> slice:
    return host_rows(batch, jax.process_count(), jax.process_index())


def loop(
    method: Method,
    split: Split,
    settings: LoopSettings,
    augment: AugmentSettings,
    *,
    seed: int,
    state: State | None = None,
    stop: int | None = None,
    devices: int | None = None,
) -> Iterator[Tick]:
    """Trains until step `stop` (without end if None), yielding after each dispatch.

    state: where to go on from; fresh from `seed` if None. A yielded state is consumed by the next dispatch: copy
    what must last. InputError where settings do not fit the method, the labels or the devices.
    """
    chosen = check(method, split, settings, augment, devices)
    method, make, rows = drawing(method, split, settings, make_batch(augment), seed, len(chosen))
    route = "resident" if settings.dp_noise else settings.route  # alone tells which rows of a batch are empty
    feed = open_feed(split, rows, route, settings.resident_mb * 2**20)
    state = init_state(method, jax.random.key(seed)) if state is None else state
    way, on_cpu = WAYS[settings.parallel], chosen[0].platform == "cpu"
    start, state = int(state.step), way.replicate(state, chosen)
    shared = None if feed.shared is None else way.replicate(feed.shared, chosen)
    method = accumulated(method, settings.accumulate, unroll=on_cpu)
    run = compile_steps(method, make, chosen, shared is not None, way, settings.nan == "skip")
    for step, source, rows in dispatches(feed, start, stop, settings.steps_per_dispatch, len(here(chosen))):
        state, metrics, bad = run(step, state, source if shared is None else shared, rows)
        if on_cpu and len(chosen) > 1:  # virtual devices: queued all-reduces may starve each other's threads and abort
            jax.block_until_ready(state)
        yield Tick(step + rows.shape[1], state, first(metrics), first(bad))
