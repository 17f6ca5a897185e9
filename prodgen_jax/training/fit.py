"""Training as a run: the loop with checkpoints, metrics, sample sheets, progress, and a clean stop."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import jax
from jaxtyping import Array, UInt8

from prodgen_jax.data.captions import EMBEDDING, Encoder, encoded, told
from prodgen_jax.data.domains import in_domains, rows_of
from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.errors import InputError
from prodgen_jax.literals import differences
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import Method, State, init_state
from prodgen_jax.progress import Progress
from prodgen_jax.training.checkpoint import Checkpoints, flatten, unflatten
from prodgen_jax.training.compiler import ONCE
from prodgen_jax.training.hosts import agree, check_same_on_all, from_first, leads, telling
from prodgen_jax.training.keeper import Clock, Follower, Keeper, Sheets
from prodgen_jax.training.lock import alone
from prodgen_jax.training.loop import Tick, check, loop
from prodgen_jax.training.privacy import check_secret
from prodgen_jax.training.recipe import FitSettings, Recipe
from prodgen_jax.training.run import BEST, Run, config_of, open_run, use_compilation_cache
from prodgen_jax.training.start import check_start, first_state
from prodgen_jax.training.stop import Stop
from prodgen_jax.training.track import Metrics, Numbers
from prodgen_jax.training.trackers import Trackers, check_trackers
from prodgen_jax.training.validate import Best, Checks, Validation

LEAST = {  # of the housekeeping's settings
    "log_every": 1,
    "checkpoint_every": 0,
    "sheet_every": 0,
    "sheet_images": 1,
    "keep": 1,
    "eval_every": 0,
    "eval_images": 0,
    "patience": 0,
}


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
    run = open_run(out)
    try:
        old = {**run.config, "settings": run.recipe.settings()}  # so that a setting newer than the run has its default
    except InputError:
        old = run.config
    compared = [key for key in config if key != "versions"]
    if changed := differences(*({key: c.get(key) for key in compared} for c in (old, config))):
        raise InputError(f"{out}: cannot go on with other settings or data ({changed})")


def fresh(method: Method, seed: int) -> State:
    """`init_state` in one program, which is compiled as what runs once: a U-Net's in 3 seconds and not in 15."""
    program = jax.jit(lambda: init_state(method, jax.random.key(seed))).lower()
    return program.compile(ONCE if jax.default_backend() == "cpu" else None)()


def begin(method: Method, saves: Checkpoints, seed: int, first: Callable) -> tuple[State, dict]:
    """The newest checkpoint's state; where none was finished yet what `first` makes of a fresh one."""
    state = fresh(method, seed)
    if saves.latest() is not None:
        return saves.restore(state, mend=True)
    return first(state), {"seconds": 0.0}


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """InputError in place of a failed write that does not say where: a full disk, most often."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: {error.strerror or error}; the newest checkpoint is whole: "
            "mend that and go on with --resume"
        ) from error


def check_numbers(steps: int | None, minutes: float | None, seed: int) -> None:
    """InputError where there is no end, or none that can be reached, or the seed is no seed."""
    if seed < 0:
        raise InputError(f"seed={seed}: must be 0 or more")
    if steps is None and minutes is None:
        raise InputError("say how long to train: --steps or --minutes")
    for name, value in (("steps", steps), ("minutes", minutes)):
        if value is not None and not value > 0:
            raise InputError(f"{name}={value}: must be above 0")


def check_fit(settings: FitSettings) -> None:
    """InputError where a number of the housekeeping cannot be, or patience has nothing to count."""
    for name, least in LEAST.items():
        if getattr(settings, name) < least:
            raise InputError(f"{name}={getattr(settings, name)}: must be {least} or more")
    check_trackers(settings.track)
    if settings.patience and not settings.eval_every:
        raise InputError(
            f"patience={settings.patience} counts checks and eval_every=0 makes none; "
            "set eval_every to the steps between two checks"
        )


def length_of(made: Recipe, encoder: Encoder | None) -> int:
    """How many numbers an encoder's vectors have; 0 without one. InputError where the recipe does not go with it."""
    reads = EMBEDDING in getattr(made.method, "condition", ())
    if reads and encoder is None:
        raise InputError(f"condition={EMBEDDING}: hand over what makes vectors of lines, as fit(..., encoder=...)")
    if encoder is not None and not reads:
        raise InputError(f"encoder: this {made.name} does not read its vectors; set condition={EMBEDDING}")
    return encoded(["a line"], encoder).shape[1] if encoder else 0


def method_and_photos(
    made: Recipe, prepared: PreparedSet, before: tuple[str, ...], encoder: Encoder | None
) -> tuple[Method, Split, int]:
    """(the method, the photos that it learns from with all that it is told of them, numbers of a line's vector)."""
    embedding = length_of(made, encoder)
    method = made.build(Spec.of(prepared, before, embedding))
    split = told(prepared, "train", method.conditions, several=True, before=before, encoder=encoder)
    return method, in_domains(split, prepared, method.domains), embedding


def validation_of(
    made: Recipe, method: Method, prepared: PreparedSet, before: tuple[str, ...], encoder: Encoder | None
) -> Validation | None:
    """The metric to check by, where checks are asked for. InputError where the method has none."""
    if not made.fit.eval_every:
        return None
    split = told(prepared, "validation", method.conditions, before=before, encoder=encoder)
    return Validation(made.name, method, split, made.fit.eval_images, made.loop.batch)


def sheet_photos(method: Method, prepared: PreparedSet, split: Split) -> UInt8[Array, "n h w 3"]:
    """What sheets of a method that begins from pictures are made of: held-out photos, where there are any; of its
    first domain, if it has some."""
    held = prepared.split("validation") if method.source is not None and prepared.splits["validation"] else split
    if not method.domains:
        return held.images
    rows = rows_of(method.domains[0], held.labels, prepared.attributes)
    return held.images[rows] if len(rows) else split.images[split.domains[0]]


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
    on_check: Callable[[int, float], None] | None = None,
    start: Run | None = None,
    encoder: Encoder | None = None,
) -> Run:
    """Trains `made` on the set's training split into the run folder `out`, and returns the run.

    Until `steps` in all, or until `minutes` of training (compilation counts, sheets do not), whichever is first.
    Where `patience` is set, also until so many checks of the validation metric brought nothing better; the run's best
    state is then in `out/best`. on_check: called with (step, value) after each check; what it raises ends the run.
    start: begin from the averaged parameters of this run, of the same method and network, not from nothing.
    encoder: any function from lines of words to vectors, float [n d] (best of numbers about a unit wide), for a recipe
    with condition=("embedding",): each product's captions are handed to it once, and `sample` wants it again.
    resume: go on with the run that is in `out`; where there is none, start it.
    Ctrl-C saves and raises KeyboardInterrupt, SIGTERM saves and raises Preempted, a second one stops at once.
    InputError on bad settings, where a loss is no number, or where nothing can be written.
    With several processes (`hosts.join`) all call this alike: each plays its share, the first one alone writes.
    """
    with telling():
        check_numbers(steps, minutes, seed)
        check_secret(made.loop.dp_noise, seed)
        check_start(made, start)
        before = start.vocabulary.words if start else ()
        method, split, embedding = method_and_photos(made, prepared, before, encoder)
        check(method, split, made.loop, made.augment, devices)
        check_fit(made.fit)
        validation = validation_of(made, method, prepared, before, encoder)
        shown = sheet_photos(method, prepared, split)
    agree()
    out, limit = Path(out), math.inf if minutes is None else 60 * minutes
    config = config_of(made, prepared, seed, start, embedding)
    check_same_on_all({**config, "steps": steps, "devices": devices})
    use_compilation_cache()
    with Stop() as stop, ExitStack() as opened:
        with telling():
            if leads():
                opened.enter_context(entered(out, config, resume))
                first = partial(first_state, run=start, prepared=prepared, config=config)
                kept = keeping(made, method, out, stop, seed, steps, limit, validation, on_check, first, shown)
                keeper, state = opened.enter_context(kept)
            else:
                keeper, state = Follower(), fresh(method, seed)
        agree()
        state = unflatten(from_first(flatten(state)), state)
        step = int(state.step)
        ticks = loop(method, split, made.loop, made.augment, seed=seed, state=state, stop=steps, devices=devices)
        step = play(ticks, keeper, stop, step)
        with telling():
            opened.close()  # what was begun to be saved is
        agree()
    stop.tell(step)
    return open_run(out) if leads() else Run(out, config)


@contextmanager
def entered(out: Path, config: dict, resume: bool) -> Iterator[None]:
    """The run folder is this process's alone, and writing fails in words."""
    enter(out, config, resume)
    with alone(out / "config.json"), writing(out):
        yield


@contextmanager
def keeping(
    made: Recipe,
    method: Method,
    out: Path,
    stop: Stop,
    seed: int,
    steps: int | None,
    limit: float,
    validation: Validation | None,
    on_check: Callable | None,
    first: Callable,
    photos: UInt8[Array, "n h w 3"],
) -> Iterator[tuple[Keeper, State]]:
    """The keeper of the run in `out`, and the state to go on from; closed, all that was begun to be saved is.

    first: fresh state -> where training begins. photos: held out, for the sheets.
    """
    best = nullcontext() if validation is None else Checkpoints(out / BEST, 1, stop.hold)
    with Checkpoints(out / "checkpoints", made.fit.keep, stop.hold) as saves, best as best_saves:
        state, meta = begin(method, saves, seed, first)
        so_far = Best(**meta.get("best", {}))
        checks = None if validation is None else Checks(made.fit, validation, so_far, best_saves, on_check)
        step, name = int(state.step), f"training {made.name}"
        numbers = Numbers(tuple(turn.trains for turn in method.turns), made.loop.nan == "skip")
        with Trackers(made.fit.track, out, open_run(out).config, step) as trackers, Progress(steps, name, step) as bar:
            log = Metrics(out / "metrics.jsonl", made.fit.log_every, step, trackers, numbers)
            draw = Sheets(method, out / "samples", made.fit.sheet_images, trackers, photos)
            yield Keeper(made.fit, Clock(meta["seconds"]), log, saves, draw, bar, checks, limit, method.alarms), state


def play(ticks: Iterator[Tick], keeper: Keeper | Follower, stop: Stop, step: int) -> int:
    """Hands each tick to the keeper until an end is met, and gives back the last step, which is saved.

    step: done before. However short the time, one step is played: a run without any could not be drawn from.
    """
    tick = None
    while not stop.agreed(keeper.over and step > 0) and (after := next(ticks, None)):
        tick, before, step = after, step, after.step
        with telling():
            keeper.see(tick, before)
    if tick is not None:
        with telling():
            keeper.save(tick)
            if not stop.asked:  # who asks for a stop waits for no picture
                keeper.draw(tick)
    return step
