"""Training as a run: the loop with checkpoints, metrics, sample sheets, progress, and a clean stop."""

import json
import math
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax

from prodgen_jax.data.images import save_png, sheet, to_uint8
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import Method, State, init_state
from prodgen_jax.progress import Progress
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.loop import Tick, check, loop
from prodgen_jax.training.recipe import FitSettings, Recipe
from prodgen_jax.training.run import Run, config_of, open_run
from prodgen_jax.training.track import Metrics

SHEET_SEED = 0  # the same latent draws on every sheet, so that sheets show progress and not luck


def use_compilation_cache() -> None:
    """Keeps compiled steps in the user's cache folder, so that a second start compiles nothing."""
    if jax.config.jax_compilation_cache_dir is None:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(home / "prodgen_jax" / "xla"))


class Stop:
    """Ctrl-C or SIGTERM ask for a stop after the present step; a second one stops at once."""

    def __init__(self):
        self.asked, self.before = False, {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM):
                self.before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@dataclass
class Clock:
    """Seconds of training, those of earlier starts included and pauses left out."""

    before: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    def skip(self, seconds: float) -> None:
        self.begun += seconds


def enter(out: Path, config: dict, resume: bool) -> None:
    """Makes the run folder; one that is there already must be the same run, and be meant to go on. Else InputError."""
    if (out / "config.json").exists():
        if not resume:
            raise InputError(f"{out}: there is a run already; add --resume to go on with it, or choose another folder")
        return check_same(out, config)
    out.mkdir(parents=True, exist_ok=True)
    part = out / "config.json.partial"
    part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    part.replace(out / "config.json")


def check_same(out: Path, config: dict) -> None:
    """InputError says in which settings, data or seed the run in `out` differs; other versions may go on with it."""
    run = open_run(out)  # an older run's config lacks settings that were added since: they have their defaults
    old, now = (json.loads(json.dumps(c)) for c in ({**run.config, "settings": run.recipe.settings()}, config))
    flat, flat_old = ({**c, **c["settings"], "settings": None, "versions": None} for c in (now, old))
    changed = [f"{key}: {flat_old.get(key)} -> {value}" for key, value in flat.items() if flat_old.get(key) != value]
    if changed:
        raise InputError(f"{out}: cannot go on with other settings or data ({'; '.join(changed)[:500]})")


def begin(method: Method, saves: Checkpoints, seed: int) -> tuple[State, dict]:
    """The newest checkpoint's state, or a fresh one where none was finished yet."""
    state = jax.jit(lambda: init_state(method, jax.random.key(seed)))()
    return saves.restore(state) if saves.latest() is not None else (state, {"seconds": 0.0})


class Sheets:
    """Writes `samples/<step>.png` from the averaged parameters."""

    def __init__(self, method: Method, folder: Path, n: int):
        self.folder, self.n = folder, n
        self.sampler = jax.jit(lambda params, keys: method.sample(params, keys, {}))

    def __call__(self, tick: Tick) -> None:
        keys = jax.random.split(jax.random.key(SHEET_SEED), self.n)
        images = self.sampler(tick.host_state().averaged, keys)
        save_png(self.folder / f"{tick.step:07d}.png", sheet(to_uint8(images)))


@dataclass
class Keeper:
    """What happens to each tick: its metrics are checked and logged, some states are saved, some are drawn."""

    settings: FitSettings
    clock: Clock
    log: Metrics
    saves: Checkpoints
    draw: Sheets
    bar: Progress

    def see(self, tick: Tick, before: int) -> None:
        """`before`: the step of the tick before this one."""
        if self.log.add(tick.step, tick.metrics, self.clock.seconds):
            self.bar.shown = {k: v for k, v in self.log.last.items() if k.startswith("loss/")}
        self.bar.advance(tick.step - before)
        if crossed(self.settings.checkpoint_every, before, tick.step):
            self.save(tick)
        if crossed(self.settings.sheet_every, before, tick.step):
            paused = time.monotonic()
            self.draw(tick)
            self.clock.skip(time.monotonic() - paused)

    def save(self, tick: Tick) -> None:
        self.log.flush(self.clock.seconds)  # first, so that nothing that is no number is ever saved
        self.saves.save(tick.host_state(), {"seconds": self.clock.seconds})


def crossed(every: int, before: int, now: int) -> bool:
    """Whether a multiple of `every` lies in (before, now]; never where every is 0."""
    return bool(every) and now // every > before // every


def check_numbers(steps: int | None, minutes: float | None, seed: int) -> None:
    """InputError where there is no end, or none that can be reached, or the seed is no seed."""
    if seed < 0:
        raise InputError(f"seed={seed}: must be 0 or more")
    if steps is None and minutes is None:
        raise InputError("say how long to train: --steps or --minutes")
    for name, value in (("steps", steps), ("minutes", minutes)):
        if value is not None and not value > 0:
            raise InputError(f"{name}={value}: must be above 0")


def fit(
    made: Recipe,
    prepared: PreparedSet,
    out: str | Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    seed: int = 0,
    devices: int | None = None,
) -> Run:
    """Trains `made` on the set's training split into the run folder `out`, and returns the run.

    Until `steps` in all, or until `minutes` of training (compilation counts, sheets do not), whichever is first.
    resume: go on with the run that is in `out`; where there is none, start it.
    Ctrl-C or SIGTERM save and raise KeyboardInterrupt. InputError on bad settings, or where a loss is no number.
    """
    check_numbers(steps, minutes, seed)
    out, limit = Path(out), math.inf if minutes is None else 60 * minutes
    split, method = prepared.split("train"), made.build(Spec.of(prepared))
    check(method, split, made.loop, made.augment, devices)
    use_compilation_cache()
    enter(out, config_of(made, prepared, seed), resume)
    with Checkpoints(out / "checkpoints", made.fit.keep) as saves, Stop() as stop:
        state, meta = begin(method, saves, seed)
        clock, before, tick = Clock(meta["seconds"]), int(state.step), None
        log = Metrics(out / "metrics.jsonl", made.fit.log_every, before)
        draw = Sheets(method, out / "samples", made.fit.sheet_images)
        with Progress(steps, f"training {made.name}", before) as bar:
            keeper = Keeper(made.fit, clock, log, saves, draw, bar)
            ticks = loop(method, split, made.loop, made.augment, seed=seed, state=state, stop=steps, devices=devices)
            while clock.seconds < limit and not stop.asked and (after := next(ticks, None)):
                tick = after
                bar.fraction = None if minutes is None else max(clock.seconds / limit, tick.step / (steps or math.inf))
                keeper.see(tick, before)
                before = tick.step
        if tick is not None:
            keeper.save(tick)
            draw(tick)
    if stop.asked:
        raise KeyboardInterrupt(f"stopped after step {before:,}, which is saved; go on with --resume")
    return open_run(out)
