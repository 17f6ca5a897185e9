"""What happens to a run's states as they come: checked and logged, saved, drawn."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from prodgen_jax.data.images import save_png, sheet, to_signed, to_uint8
from prodgen_jax.data.origin import Origin
from prodgen_jax.methods.core import SOURCE, Alarm, Method
from prodgen_jax.progress import Progress, tell
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.loop import Tick
from prodgen_jax.training.recipe import FitSettings
from prodgen_jax.training.track import Metrics, finite
from prodgen_jax.training.trackers import Trackers
from prodgen_jax.training.validate import Checks

SHEET_SEED = 0  # the same latent draws on every sheet, so that sheets show progress and not luck


@dataclass
class Clock:
    """Seconds of training, those of earlier starts included and pauses left out; no change of the date moves it."""

    before: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    @contextmanager
    def paused(self) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.begun += time.monotonic() - begun


class Sheets:
    """Writes `samples/<step>.png` from the averaged parameters, and shows it to the trackers.

    photos: what a method that begins from pictures is shown with: the source, what it made of it, and the photo where
    that is another picture.
    """

    def __init__(self, method: Method, folder: Path, n: int, trackers: Trackers, photos: UInt8[Array, "m h w 3"]):
        self.folder, self.n, self.trackers = folder, n, trackers
        photos = to_signed(np.asarray(photos[: max(n // 3, 1)]))

        def alone(params, keys):
            return method.sample(params, keys, {})

        def beside(params, keys):
            source = method.source(photos)
            made = method.sample(params, keys[: len(photos)], {SOURCE: source})
            return jnp.stack([source, made, photos][:shown], axis=1).reshape(-1, *photos.shape[1:])

        self.draw = jitted(alone if method.source is None else beside)
        if method.source is not None:
            shown = 2 if np.array_equal(method.source(photos), photos) else 3
        self.columns = None if method.source is None else shown * max(1, math.isqrt(len(photos) // shown))

    def __call__(self, tick: Tick) -> None:
        images = self.draw(tick.host_state().averaged, jax.random.split(jax.random.key(SHEET_SEED), self.n))
        path = self.folder / f"{tick.step:07d}.png"
        save_png(path, sheet(to_uint8(images), self.columns), Origin(facts={"step": tick.step, "seed": SHEET_SEED}))
        self.trackers.sheet(tick.step, path)


class Follower:
    """The keeper of a process that keeps nothing, because the first one does; it has no clock and no end of its own."""

    over = False

    def see(self, tick: Tick, before: int) -> None: ...

    def save(self, tick: Tick) -> None: ...

    def draw(self, tick: Tick) -> None: ...


@dataclass
class Keeper:
    """What happens to each tick: its metrics are checked and logged, some states are saved, some are drawn."""

    settings: FitSettings
    clock: Clock
    log: Metrics
    saves: Checkpoints
    draw: Sheets
    bar: Progress
    checks: Checks | None = None
    limit: float = math.inf  # seconds of training
    alarms: tuple[Alarm, ...] = ()  # that were not said yet

    def see(self, tick: Tick, before: int) -> None:
        """`before`: the step of the tick before this one."""
        if self.log.add(tick.step, tick.metrics, self.clock.seconds, tick.bad):
            self.bar.shown = {k: v for k, v in self.log.last.items() if k.startswith("loss/")}
            self.warn(tick.step)
        if self.limit < math.inf:
            self.bar.fraction = max(self.clock.seconds / self.limit, tick.step / (self.bar.total or math.inf))
        self.bar.advance(tick.step - before)
        if self.checks and crossed(self.settings.eval_every, before, tick.step):
            self.check(tick)
        if crossed(self.settings.checkpoint_every, before, tick.step):
            self.save(tick)
        if crossed(self.settings.sheet_every, before, tick.step):
            with self.clock.paused():
                self.draw(tick)

    @property
    def over(self) -> bool:
        """Whether the time is up, or the validation metric says that more steps are of no use."""
        return self.clock.seconds >= self.limit or (self.checks is not None and self.checks.over)

    def warn(self, step: int) -> None:
        found = {alarm: self.log.last.get(alarm.metric, math.inf) for alarm in self.alarms if step > alarm.after}
        said = tuple(alarm for alarm, value in found.items() if value < alarm.least)
        for metric, least, _, advice in said:
            tell(f"step {step}: {metric} is {self.log.last[metric]:.3g}, less than {least:g}; {advice}")
        self.alarms = tuple(alarm for alarm in self.alarms if alarm not in said)

    def meta(self) -> dict:
        best = {"best": asdict(self.checks.best)} if self.checks else {}
        return {"seconds": self.clock.seconds, **best}

    def check(self, tick: Tick) -> None:
        self.log.flush(self.clock.seconds)
        with self.clock.paused():
            found = self.checks(tick.host_state(), self.meta())
        self.log.write(tick.step, found, self.clock.seconds)

    def save(self, tick: Tick) -> None:
        self.log.flush(self.clock.seconds)  # first, so that nothing that is no number is ever saved
        self.saves.save(finite(tick.host_state()), self.meta())


def crossed(every: int, before: int, now: int) -> bool:
    """Whether a multiple of `every` lies in (before, now]; never where every is 0."""
    return bool(every) and now // every > before // every
