"""Pictures of many requests in one call of the sampler.

A worker, a thread with a device of its own, takes what waits, first come first served, and draws it together. When more
waits than the workers can take, another one begins on the next device, as long as there is one. A picture's random
numbers come from its own seed and place, so its neighbors change nothing. The sampler is compiled for a few sizes; what
is too few for one is filled up.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped, UInt8

from prodgen_jax.data.captions import unsaid
from prodgen_jax.data.images import to_uint8
from prodgen_jax.deploy.wish import Wish, told
from prodgen_jax.methods.core import Params
from prodgen_jax.sampling.sample import picture_keys, portion
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run

LOG = logging.getLogger(__name__)


class Busy(Exception):
    """Too much waits already, or the server is about to end."""


class Broken(Exception):
    """The sampler made numbers that are no picture (NaN or infinite)."""


@dataclass(eq=False)
class Job:
    """A wish that waits: `future` gets its pictures, uint8 [n h w 3]; `done` holds those that are drawn."""

    wish: Wish
    said: Mapping[str, Shaped[np.ndarray, "n ..."]]
    future: Future = field(default_factory=Future)
    done: dict[int, np.ndarray] = field(default_factory=dict)


def default_sizes() -> tuple[int, ...]:
    """Pictures in a call: one for who is alone, a handful, and as many as `prodgen sample` draws at a time."""
    return (1, 4, portion())


class Batcher:
    """Draws wishes from a run, many at once.

    settings: of sampling, in the place of the run's own; InputError if one is not known. sizes: pictures in a call;
    linger: seconds that a call waits for more than it has; most: pictures that may wait; devices: one for each worker,
    the first of which always works, the others while more waits than the workers can take at once, and `idle` seconds
    longer. seen: is told (pictures uint8, seconds) of each call.
    """

    def __init__(
        self,
        run: Run,
        settings: Mapping[str, str] | None = None,
        *,
        sizes: tuple[int, ...] | None = None,
        linger: float = 0.0,
        most: int = 256,
        devices: Sequence[jax.Device] | None = None,
        idle: float = 30.0,
        seen: Callable[[UInt8[np.ndarray, "n h w 3"], float], None] = lambda pictures, seconds: None,
    ):
        self.run, self.sizes, self.linger, self.most, self.seen = run, sizes or default_sizes(), linger, most, seen
        self.devices, self.idle = devices or jax.local_devices(), idle
        self.sampler = jitted((run.sampling_with(settings) if settings else run.method).sample)
        self._keys = jax.jit(picture_keys)
        self._slots: deque[tuple[Job, int]] = deque()
        self._changed, self._open = threading.Condition(), True  # the lock of all that follows
        self._workers: dict[int, threading.Thread] = {}  # by the place of their device

    def start(self) -> None:
        """Compiles every size, then begins to draw. It takes as long as the sampler takes to compile."""
        for size in self.sizes:
            nothing = {name: unsaid(name, size) for name in self.run.method.conditions}
            self.call(self._params(0), np.zeros(size, int), np.arange(size), nothing)
        with self._changed:
            self._begin(0)

    @property
    def waiting(self) -> int:
        """Pictures that wait."""
        return len(self._slots)

    @property
    def working(self) -> int:
        """Workers, one for a device."""
        return len(self._workers)

    @property
    def alive(self) -> bool:
        return self._open and self.working > 0

    def ask(self, wish: Wish) -> Future:
        """The future of the wish's pictures. Busy if too much waits; InputError if the run does not know what is asked.

        A future that is canceled is not drawn, as far as it still waits.
        """
        job = Job(wish, told(self.run, wish))
        with self._changed:
            if not self._open or self.waiting + wish.n > self.most:
                raise Busy(f"{self.waiting} pictures wait")
            self._slots.extend((job, i) for i in range(wish.n))
            free = [place for place in range(len(self.devices)) if place not in self._workers]
            if free and self.waiting > max(self.sizes) * self.working:
                self._begin(free[0])
            self._changed.notify_all()
        return job.future

    def close(self) -> None:
        """Takes no more wishes, draws those that wait, and ends."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for worker in list(self._workers.values()):
            worker.join()

    # --- workers --------------------------------------------------------------------------------------------------

    def _params(self, place: int) -> Params:
        """On a worker's own device, which is a part of what programs are compiled for."""
        return jax.device_put(self.run.params, self.devices[place])

    def _begin(self, place: int) -> None:
        worker = threading.Thread(target=self._work, args=(place,), name=f"draws on {self.devices[place]}", daemon=True)
        self._workers[place] = worker
        worker.start()

    def _work(self, place: int) -> None:
        try:
            params = self._params(place)
            while slots := self._take(None if place == 0 else self.idle):
                try:
                    self._draw(params, slots)
                except Exception as error:
                    LOG.exception("a call of the sampler failed")
                    self._fail(slots, error)
        finally:
            with self._changed:
                del self._workers[place]

    def _take(self, idle: float | None) -> list[tuple[Job, int]]:
        """What is drawn next, at most the largest size; nothing when no more will come, or none came for so long."""
        largest = max(self.sizes)
        with self._changed:
            while self._changed.wait_for(lambda: self._slots or not self._open, idle):
                until = time.monotonic() + self.linger
                while self._open and len(self._slots) < largest and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                found = []
                while self._slots and len(found) < largest:
                    job, i = self._slots.popleft()
                    if not job.future.done():  # canceled, or failed with an earlier part
                        found.append((job, i))
                if found or not (self._open or self._slots):
                    return found
        return []

    def _draw(self, params: Params, slots: list[tuple[Job, int]]) -> None:
        begun = time.monotonic()
        size = min(size for size in self.sizes if size >= len(slots))
        full = slots + slots[-1:] * (size - len(slots))
        said = {name: np.stack([job.said[name][i] for job, i in full]) for name in self.run.method.conditions}
        signed = self.call(params, np.array([job.wish.seed for job, _ in full]), np.array([i for _, i in full]), said)
        if not np.isfinite(signed[: len(slots)]).all():
            raise Broken("the sampler made numbers that are no picture")
        pictures = to_uint8(signed[: len(slots)])
        self.seen(pictures, time.monotonic() - begun)
        with self._changed:  # parts of one job may end on several devices at once
            for (job, i), picture in zip(slots, pictures, strict=True):
                job.done[i] = picture
                whole = len(job.done) == job.wish.n and not job.future.done()
                if whole and job.future.set_running_or_notify_cancel():
                    job.future.set_result(np.stack([job.done[i] for i in range(job.wish.n)]))

    def _fail(self, slots: list[tuple[Job, int]], error: Exception) -> None:
        with self._changed:
            for job in {job for job, _ in slots}:
                if not job.future.done() and job.future.set_running_or_notify_cancel():
                    job.future.set_exception(error)

    def call(self, params: Params, seeds: np.ndarray, places: np.ndarray, said: Mapping) -> np.ndarray:
        """The sampler's pictures in [-1, 1], of these seeds, places in their wishes, and what is said; of one size."""
        keys = self._keys(jnp.asarray(seeds, jnp.int32), jnp.asarray(places, jnp.int32))
        return np.asarray(self.sampler(params, keys, {name: jnp.asarray(v) for name, v in said.items()}))
