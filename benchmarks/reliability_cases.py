"""The cases of `benchmarks/reliability.py`: each ends a training in one bad way, then resumes it.

A case takes a lab and its own name, and gives a row. It fails with an AssertionError; `Missed` means: once more.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from reliability_lab import (
    BACKWARDS,
    EVERY,
    NO_NUMBER,
    Lab,
    Missed,
    apart,
    being_saved,
    ended,
    faulty,
    files_in,
    flip,
    line,
    planted,
    reached,
    small_disk,
    steps_in,
    truncate,
    wait,
)

from prodgen_jax.training.run import open_run

TRIES = 8  # of a case whose moment was missed


class Row(NamedTuple):
    """One line of the table: what was done, how it ended, what was said, and the steps saved and resumed to."""

    case: str
    ended: str
    said: str
    saved: int
    resumed: int


# --- the process is ended -----------------------------------------------------------------------------------------


def moment(draw: random.Random) -> Callable:
    """Any moment from the first checkpoint on."""
    step, pause = draw.randrange(EVERY, 8 * EVERY), draw.uniform(0, 0.5)

    def until(process: subprocess.Popen, out: Path) -> None:
        wait(process, lambda: reached(step)(out))
        time.sleep(pause)

    return until


def save(draw: random.Random) -> Callable:
    """Any moment at which a checkpoint is being written, the first one left out."""
    step, pause = draw.randrange(EVERY, 8 * EVERY), draw.uniform(0, 0.01)

    def until(process: subprocess.Popen, out: Path) -> None:
        wait(process, lambda: reached(step)(out) and being_saved(out))
        time.sleep(pause)

    return until


def signaled(lab: Lab, name: str, number: signal.Signals, until: Callable, code: int, word: str) -> Row:
    """One signal; it must end with this code and say this word."""
    out = lab.folder(name)
    with lab.begun(out, lambda out: (out / "config.json").exists()) as process:
        until(process, out)
        process.send_signal(number)
        said = line(ended(process, code), word, out)
    saved = lab.same(out)
    return Row(name, f"exit {code}", said, saved, lab.resumed(out, saved)[0])


def killed(lab: Lab, name: str, until: Callable, half: bool) -> Row:
    """kill -9. half: a checkpoint that was cut short must be left, else another moment is tried."""
    out = lab.folder(name)
    with lab.begun(out, lambda out: (out / "config.json").exists()) as process:
        until(process, out)
        process.kill()
        ended(process, -signal.SIGKILL)
    left = being_saved(out)
    if half and not left:
        raise Missed("the checkpoint was whole already")
    said = f"nothing; half of checkpoint {left[0]} is left" if left else "nothing"
    saved = lab.same(out)
    return Row(name, f"signal {signal.SIGKILL:d}", said, saved, lab.resumed(out, saved)[0])


def twice(lab: Lab, name: str) -> Row:
    """Ctrl-C, and once more while the checkpoint that the first one asked for is being written.

    Few checkpoints but that one, so that it is seen by its step and has nothing to wait for.
    """
    out, rare = lab.folder(name), {"checkpoint_every": 5 * EVERY}
    with lab.begun(out, reached(5 * EVERY), **rare) as process:
        process.send_signal(signal.SIGINT)
        wait(process, lambda: any(step % EVERY for step in being_saved(out)))
        process.send_signal(signal.SIGINT)
        said = ended(process, 130)
    if "stopped at once" not in said:
        raise Missed("the checkpoint was whole before the second signal came")
    saved = lab.same(out)
    return Row(name, "exit 130", line(said, "stopped", out), saved, lab.resumed(out, saved, **rare)[0])


def clock_backwards(lab: Lab, name: str) -> Row:
    """The date runs backwards, an hour in each second, and the newest files look the oldest."""
    out = lab.folder(name)
    with lab.begun(out, reached(2 * EVERY), faulty(lab.work / "date", BACKWARDS)) as process:
        process.send_signal(signal.SIGTERM)
        said = line(ended(process, 0), "stopped", out)
    for age, step in enumerate(sorted(steps_in(out))):
        os.utime(out / "checkpoints" / str(step), (10**9 - age, 10**9 - age))
    saved = lab.same(out)
    resumed, _ = lab.resumed(out, saved)
    times = [row["time_s"] for row in open_run(out).metrics]
    assert times == sorted(times), "seconds of training went backwards"
    return Row(name, "exit 0", said, saved, resumed)


def two_at_once(lab: Lab, name: str) -> Row:
    """A second process on the same folder is sent away, and the first goes on as if it had not been there.

    The first is held meanwhile, so that it is not beyond the straight run's end by then.
    """
    out = lab.folder(name)
    with lab.begun(out, reached(EVERY)) as process:
        process.send_signal(signal.SIGSTOP)
        code, said = lab.train(out, 10**6, "--resume")
        assert code == 2, (code, said)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        ended(process, 0)
    saved = lab.same(out)
    return Row(name, "exit 2", line(said, "another process", out), saved, lab.resumed(out, saved)[0])


# --- the disk -----------------------------------------------------------------------------------------------------


def spoiled(lab: Lab, name: str, spoil: Callable[[Path], None]) -> Row:
    """The newest checkpoint of a finished run is damaged: the one before it must be taken, and it must be said."""
    out = lab.folder(name)
    code, said = lab.train(out, 3 * EVERY)
    assert code == 0, said
    spoil(out / "checkpoints" / str(3 * EVERY))
    saved = lab.same(out)
    assert saved == 2 * EVERY, saved
    resumed, said = lab.resumed(out, saved)
    return Row(name, "falls back", line(said, "damaged", out), saved, resumed)


def full_disk(lab: Lab, name: str) -> Row:
    """The disk fills up while checkpoints are written; with room again the run goes on."""
    with small_disk(lab.folder(name)) as remount:
        out, ballast = lab.work / "full-disk" / "run", lab.work / "full-disk" / "ballast"
        with lab.begun(out, reached(EVERY)) as process:
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            said = line(ended(process, 2), "No space left", out)
        saved = lab.same(out)
        remount("size=64m")
        return Row(name, "exit 2", said, saved, lab.resumed(out, saved)[0])


def read_only(lab: Lab, name: str) -> Row:
    """Nothing can be written: a clear refusal, and the run can still be read."""
    with small_disk(lab.folder(name)) as remount:
        out = lab.work / "read-only-folder" / "run"
        assert lab.train(out, 2 * EVERY)[0] == 0
        remount("ro")
        code, said = lab.train(out, 3 * EVERY, "--resume")
        assert code == 2, (code, said)
        saved = lab.same(out)
        remount("rw")
        return Row(name, "exit 2", line(said, "Read-only", out), saved, lab.resumed(out, saved)[0])


# --- what is resumed is another run, or was tampered with ---------------------------------------------------------


def refused(lab: Lab, name: str, *more: str, other: bool = False, **settings) -> Row:
    """A resume with something else than what was begun names the difference and touches nothing."""
    out = lab.folder(name)
    assert lab.train(out, EVERY)[0] == 0
    before = {file: file.read_bytes() for file in files_in(out)}
    code, said = lab.train(out, 2 * EVERY, "--resume", *more, data=lab.other if other else None, **settings)
    assert code == 2, (code, said)
    assert before == {file: file.read_bytes() for file in files_in(out)}, "a refused resume changed the run"
    saved = lab.same(out)
    return Row(name, "exit 2", line(said, "cannot go on with other", out), saved, lab.resumed(out, saved)[0])


def pickled(lab: Lab, name: str) -> Row:
    """All files of a run but its config and the checkpoint before the newest are pickles; none may be opened."""
    out, canary = lab.folder(name), lab.folder("canary")
    assert lab.train(out, 3 * EVERY)[0] == 0
    spared = [out / "config.json", *files_in(out / "checkpoints" / str(2 * EVERY))]
    planted([file for file in files_in(out) if file not in spared], canary)
    saved = lab.same(out)
    resumed, said = lab.resumed(out, saved)
    assert not canary.exists(), "a pickle was loaded"
    return Row(name, "falls back", line(said, "damaged", out), saved, resumed)


def pickled_config(lab: Lab, name: str) -> Row:
    """The run's config is a pickle: it is no run; with its config back it is."""
    out, canary = lab.folder(name), lab.folder("canary")
    assert lab.train(out, EVERY)[0] == 0
    config = (out / "config.json").read_bytes()
    planted([out / "config.json"], canary)
    code, said = lab.train(out, 2 * EVERY, "--resume")
    assert code == 2 and not canary.exists(), (code, said)
    (out / "config.json").write_bytes(config)
    saved = lab.same(out)
    return Row(name, "exit 2", line(said, "not a run folder", out), saved, lab.resumed(out, saved)[0])


# --- numbers that are not finite ----------------------------------------------------------------------------------

BAD_STEP = 3 * EVERY - 10


def no_number_stops(lab: Lab, name: str, number: str) -> Row:
    """A fault makes one step's loss no number: the run ends before it; without the fault it goes on."""
    out = lab.folder(name)
    fault = faulty(lab.work / f"fault-{number}", NO_NUMBER.format(before=BAD_STEP - 1, number=number))
    code, said = apart(lab.arguments(out, 5 * EVERY), **fault)
    assert code == 2 and "Traceback" not in said, (code, said)
    assert "turn 1 of 1, which trains 'vae'" in said, said
    saved = lab.same(out)
    assert saved == 2 * EVERY, saved
    return Row(name, "exit 2", line(said, f"step {BAD_STEP}: ", out), saved, lab.resumed(out, saved)[0])


def no_number_skipped(lab: Lab, name: str, number: str) -> Row:
    """With `nan=skip` that step is left out; stopped and resumed, the run is the one that was not stopped."""
    out, whole = lab.folder(name), lab.folder(f"{name}, whole")
    fault = faulty(lab.work / f"fault-{number}", NO_NUMBER.format(before=BAD_STEP - 1, number=number))

    def train(place: Path, steps: int, *more: str) -> str:
        code, said = apart(lab.arguments(place, steps, *more, nan="skip", keep=9), **fault)
        assert code == 0, (code, said)
        return said

    train(whole, 5 * EVERY)
    said = line(train(out, 3 * EVERY), f"step {BAD_STEP}: ", out)
    saved = lab.same(out, whole)
    train(out, 5 * EVERY, "--resume")
    return Row(name, "goes on", said, saved, lab.same(out, whole))


# --- all of them -----------------------------------------------------------------------------------------------------


def cases(moments: int, seed: int) -> dict[str, Callable[[Lab], Row]]:
    """{name: case}; `moments` kills, every second one of them inside a save."""
    draw = random.Random(seed)
    int_, term = signal.SIGINT, signal.SIGTERM
    by = {
        "Ctrl-C": partial(signaled, number=int_, until=moment(draw), code=130, word="stopped"),
        "Ctrl-C twice, inside a save": twice,
        "SIGTERM": partial(signaled, number=term, until=moment(draw), code=0, word="stopped by SIGTERM"),
        "SIGTERM inside a save": partial(signaled, number=term, until=save(draw), code=0, word="stopped by SIGTERM"),
        "kill -9 before the first checkpoint": partial(killed, until=lambda *_: None, half=False),
    }
    for i in range(moments):
        half = i % 2 == 1
        name = f"kill -9, moment {i + 1}{', inside a save' if half else ''}"
        by[name] = partial(killed, until=(save if half else moment)(draw), half=half)
    by["date runs backwards"], by["two processes on one folder"] = clock_backwards, two_at_once
    by["full disk"], by["read-only folder"] = full_disk, read_only
    by["newest checkpoint cut short"] = partial(spoiled, spoil=truncate)
    for share in (0.1, 0.5):
        by[f"a bit flipped at {share:.0%} of its numbers"] = partial(spoiled, spoil=partial(flip, share=share))
    by["another setting"] = partial(refused, lr=0.5)
    by["another seed"] = lambda lab, name: refused(lab, name, "--seed", "1")
    by["another data set"] = partial(refused, other=True)
    by["a NaN, nan=stop"] = partial(no_number_stops, number="jnp.nan")
    by["an infinity, nan=stop"] = partial(no_number_stops, number="jnp.inf")
    by["a NaN, nan=skip"] = partial(no_number_skipped, number="jnp.nan")
    by["pickles in the run folder"], by["a pickle as config.json"] = pickled, pickled_config
    return {name: partial(tried, name=name, case=case) for name, case in by.items()}


def tried(lab: Lab, name: str, case: Callable[..., Row]) -> Row:
    """The case's row, tried again while its moment is missed."""
    for left in reversed(range(TRIES)):
        try:
            return case(lab, name)
        except Missed:
            if not left:
                raise
    raise AssertionError
