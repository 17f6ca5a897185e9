"""What a server says of itself: counts and times for Prometheus, and alarms for who is on duty.

An alarm looks at the last few hundred requests and pictures that are no older than five minutes, and says nothing
before it has seen enough of them. Pictures are judged by the statistics of `evaluation.style`: those that lie well
outside of what the model drew when the server began are strange, and a picture without contrast is blank. The range is
a wide one, since clients may ask for one kind of goods alone.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from prodgen_jax.deploy.batcher import Batcher
from prodgen_jax.evaluation.style import statistics

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
MARGIN = 0.25  # of a statistic's range over the first pictures, on each side of it, that is usual as well
BLANK = 4.0  # levels of contrast, of 255, below which nothing is seen


@dataclass(frozen=True)
class Limits:
    """When an alarm is raised."""

    p95: float = 10.0  # seconds that 95 of 100 pictures' requests may take at most
    errors: float = 0.02  # share of requests that the server failed, codes 500 and above
    blank: float = 0.05  # share of blank pictures
    strange: float = 0.25  # share of pictures of an unusual look
    least: int = 20  # requests, or pictures, before anything is said
    window: int = 512  # the last so many requests, and pictures
    age: float = 300.0  # seconds after which they count no longer


class Window:
    """The last values of something, with their times."""

    def __init__(self, limits: Limits, clock: Callable[[], float]):
        self.values: deque[tuple[float, float]] = deque(maxlen=limits.window)
        self.limits, self.clock = limits, clock

    def add(self, value: float) -> None:
        self.values.append((self.clock(), float(value)))

    def read(self) -> Float[np.ndarray, "n"]:
        """Those that count; none where they are too few."""
        since = self.clock() - self.limits.age
        found = np.array([value for when, value in list(self.values) if when >= since])
        return found if len(found) >= self.limits.least else found[:0]


class Monitor:
    """Counts, times and alarms of one server.

    queue: of the pictures that wait; reference: pictures, uint8, that show what the model usually draws; clock: a
    steady one, in seconds.
    """

    def __init__(
        self,
        queue: Batcher,
        reference: UInt8[np.ndarray, "n h w 3"],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.limits = limits or Limits()
        usual = statistics(reference)
        wider = {name: MARGIN * np.ptp(values) for name, values in usual.items()}
        self.range = {name: (at.min() - wider[name], at.max() + wider[name]) for name, at in usual.items()}
        windows = ("latency", "errors", "blank", "strange")
        self.latency, self.errors, self.blank, self.strange = (Window(self.limits, clock) for _ in windows)
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter("prodgen_requests", "Requests", ["route", "code"], **own)
        self.times = Histogram("prodgen_request_seconds", "Seconds of a request", ["route"], buckets=SECONDS, **own)
        self.pictures = Counter("prodgen_pictures", "Pictures drawn", **own)
        self.calls = Histogram("prodgen_call_seconds", "Seconds of a call of the sampler", buckets=SECONDS, **own)
        self.sizes = Histogram("prodgen_call_pictures", "Pictures of a call", buckets=(1, 2, 4, 8, 16, 32, 64), **own)
        Gauge("prodgen_waiting_pictures", "Pictures that wait", **own).set_function(lambda: queue.waiting)
        Gauge("prodgen_workers", "Devices that draw", **own).set_function(lambda: queue.working)
        raised = Gauge("prodgen_alarm", "1 while the alarm is raised", ["alarm"], **own)
        for name in windows:
            raised.labels(name).set_function(lambda name=name: float(name in self.alarms()))

    def request(self, route: str, code: int, seconds: float) -> None:
        """A request has been answered."""
        self.requests.labels(route, code).inc()
        self.times.labels(route).observe(seconds)
        if route == "/generate":
            self.errors.add(code >= 500)
            if code == 200:
                self.latency.add(seconds)

    def drawn(self, pictures: UInt8[np.ndarray, "n h w 3"], seconds: float) -> None:
        """A call of the sampler has ended."""
        self.pictures.inc(len(pictures))
        self.calls.observe(seconds)
        self.sizes.observe(len(pictures))
        found = statistics(pictures)
        for blank, strange in zip(found["contrast"] < BLANK, self.unusual(found), strict=True):
            self.blank.add(blank)
            self.strange.add(strange)

    def unusual(self, found: dict[str, Float[np.ndarray, "n"]]) -> Bool[np.ndarray, "n"]:
        """Which pictures lie outside of the reference's range in any statistic."""
        return np.any([(values < self.range[n][0]) | (values > self.range[n][1]) for n, values in found.items()], 0)

    def alarms(self) -> dict[str, str]:
        """{alarm: what was seen and what is allowed} of those that are raised."""
        limits, found = self.limits, {}
        times = self.latency.read()
        if len(times) and (p95 := float(np.percentile(times, 95))) > limits.p95:
            found["latency"] = f"p95 of {p95:.1f} s, {limits.p95:g} allowed"
        for name, what in (("errors", "requests failed"), ("blank", "pictures blank"), ("strange", "pictures strange")):
            seen, allowed = getattr(self, name).read(), getattr(limits, name)
            if len(seen) and (share := float(seen.mean())) > allowed:
                found[name] = f"{share:.0%} of {what}, {allowed:.0%} allowed"
        return found

    def exposition(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)
