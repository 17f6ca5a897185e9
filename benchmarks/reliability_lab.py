"""What the cases of `benchmarks/reliability.py` are made with: runs, a straight one beside them, and damage."""

import contextlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from prodgen_jax.cli import main as prodgen
from prodgen_jax.methods.core import State
from prodgen_jax.training.checkpoint import Checkpoints, flatten
from prodgen_jax.training.run import open_run

EVERY, LAST = 20, 600  # steps between two checkpoints, and of the straight run
SETTINGS = {
    "width": 8,
    "latent": 4,
    "flow": 0,
    "batch": 16,
    "sheet_images": 4,
    "log_every": 5,
    "checkpoint_every": EVERY,
}
PATIENCE = 1800  # seconds that a process may take to get where it should, on the slowest machine
HALF = "orbax-checkpoint-tmp"  # in the name of a checkpoint that is being written


class Missed(Exception):
    """The moment that a case waits for did not come, or had passed already: the case is to be tried again."""


def inside(arguments: list[str]) -> tuple[int, str]:
    """`prodgen` in this process: its exit code and what it said on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = prodgen(arguments)
    return code, said.getvalue()


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "prodgen_jax.cli", *arguments]


def apart(arguments: list[str], **environment: str) -> tuple[int, str]:
    """`prodgen` in a process of its own: its exit code and what it said on stderr."""
    ended = subprocess.run(command(arguments), env={**os.environ, **environment}, capture_output=True, text=True)
    return ended.returncode, ended.stderr


@dataclass
class Lab:
    """The straight run, with every checkpoint kept, and a folder for the runs that are to suffer.

    data, other: two prepared sets. call: how a command is run that is not interrupted, `apart` or `inside`.
    """

    data: Path
    other: Path
    work: Path
    call: Callable = apart

    def __post_init__(self):
        self.straight = self.work / "straight"
        if not (self.straight / "done").exists():
            code, said = self.train(self.straight, LAST, keep=10**6)
            assert code == 0, said
            (self.straight / "done").touch()
        self.like: State = open_run(self.straight)._restored[0]

    def folder(self, name: str) -> Path:
        """An empty place for a case's run."""
        out = self.work / "".join(letter if letter.isalnum() else "-" for letter in name)
        shutil.rmtree(out, ignore_errors=True)
        return out

    def arguments(self, out: Path, steps: int, *more: str, data: Path | None = None, **settings) -> list[str]:
        chosen = [f"--set={name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        return ["train", "vae", str(data or self.data), "--out", str(out), "--steps", str(steps), *chosen, *more]

    def train(self, out: Path, steps: int, *more: str, **settings) -> tuple[int, str]:
        return self.call(self.arguments(out, steps, *more, **settings))

    @contextlib.contextmanager
    def begun(self, out: Path, until: Callable, environment: Mapping = MappingProxyType({}), **settings) -> Iterator:
        """A run without end in a process of its own, once `until` holds of its folder; killed at the end."""
        words = command(self.arguments(out, 10**6, **settings))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(words, env={**os.environ, **environment}, **pipes)
        try:
            wait(process, lambda: until(out))
            yield process
        finally:
            process.kill()
            process.communicate()

    def same(self, out: Path, wanted: Path | None = None) -> int:
        """The newest whole checkpoint's step; 0 if there is none. AssertionError if its numbers are others than
        those of the run `wanted` at that step, the straight one's if None (it has each 20th)."""
        if not steps_in(out):
            return 0
        with contextlib.redirect_stderr(io.StringIO()):  # what it says of a damaged one, the resume says again
            state = open_run(out)._restored[0]
        step = int(state.step)
        if step > LAST:
            raise Missed(f"the straight run ends at step {LAST}, this one is at {step} already")
        if step % EVERY == 0:
            with Checkpoints((wanted or self.straight) / "checkpoints") as saves:
                there = flatten(saves.read(step, self.like)[0])
            found = flatten(state)
            different = [name for name in there if not np.array_equal(there[name], found[name])]
            assert not different, f"{out} at step {step} differs from the straight run in {different[:3]}"
        return step

    def resumed(self, out: Path, saved: int, **settings) -> tuple[int, str]:
        """The step of a whole checkpoint after the run went on a little, and what was said meanwhile.

        saved: the step that it goes on from. AssertionError where it is not the straight run's, or lines are lost.
        """
        goal = (max(steps_in(out), default=0) // EVERY + 2) * EVERY
        if goal > LAST:
            raise Missed(f"the straight run ends at step {LAST}, this one is at {goal - 2 * EVERY} already")
        before = [line for line in open_run(out).metrics if line["step"] <= saved]
        code, said = self.train(out, goal, "--resume", **settings)
        assert code == 0, said
        assert self.same(out) == goal, f"{out} did not reach step {goal}"
        assert open_run(out).metrics[: len(before)] == before, f"{out}: lines of metrics.jsonl were lost"
        return goal, said


def steps_in(out: Path) -> list[int]:
    """The steps of the checkpoints that are whole by their names."""
    return [int(p.name) for p in (out / "checkpoints").glob("*") if p.name.isdecimal()]


def being_saved(out: Path) -> list[int]:
    """The steps of the checkpoints that are being written at this moment, or were cut short."""
    return [int(p.name.split(".")[0]) for p in (out / "checkpoints").glob(f"*{HALF}*")]


def reached(step: int) -> Callable[[Path], bool]:
    return lambda out: max(steps_in(out), default=0) >= step


def wait(process: subprocess.Popen, condition: Callable) -> None:
    """Until the condition holds. Missed where the process ends before; AssertionError where it takes too long."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None and not condition():
            raise Missed(f"ended too early, exit {process.returncode}: {process.communicate()[1][-2000:]}")
        assert time.monotonic() < end, "the run does not get on"
        time.sleep(0.002)


def ended(process: subprocess.Popen, code: int) -> str:
    """What the process said until its end. AssertionError if it does not end with this code, or shows a traceback."""
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == code and "Traceback" not in said, f"exit {process.returncode}: {said[-2000:]}"
    return said


def line(text: str, word: str, out: Path) -> str:
    """The last line of `text` that holds `word`, with RUN for the run's folder."""
    found = [row for row in text.splitlines() if word in row]
    assert found, f"nobody said '{word}': {text[-2000:]}"
    return found[-1].replace(str(out), "RUN").replace(str(out.parent), "WORK")


# --- damage -------------------------------------------------------------------------------------------------------


def files_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def largest(folder: Path) -> Path:
    return max(files_in(folder), key=lambda p: p.stat().st_size)


def truncate(folder: Path) -> None:
    file = largest(folder)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(folder: Path, share: float = 0.5) -> None:
    """Turns over one bit of the file that holds most of the numbers, so far into it."""
    file = largest(folder)
    data = bytearray(file.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0b100
    file.write_bytes(data)


class Canary:
    """What it would do to whoever unpickles it: make a folder."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def planted(files: list[Path], canary: Path) -> None:
    """Each file becomes a pickle that would make the folder `canary`."""
    for file in files:
        file.write_bytes(pickle.dumps(Canary(canary)))


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Callable[[str], None]]:
    """A tmpfs of 4 MB at `place`; yields `remount(options)`. OSError where this is not allowed."""
    place.mkdir(parents=True, exist_ok=True)

    def mount(*options: str) -> None:
        try:
            subprocess.run(["mount", *options, str(place)], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise OSError(error.stderr) from error

    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    try:
        yield lambda options: mount("-o", f"remount,{options}")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


# --- faults that a process is started with ------------------------------------------------------------------------

BACKWARDS = """
import time
begun, real = time.monotonic(), time.time
time.time = lambda: real() - 3600 * (time.monotonic() - begun)
"""
NO_NUMBER = """
import dataclasses
import jax.numpy as jnp
from prodgen_jax.methods import core

real = core.play

def play(method, turn, state, batch, keys):
    def loss(params, extra, batch, keys, step):
        value, aux = turn.loss(params, extra, batch, keys, step)
        return jnp.where(step == {before}, {number}, 1.0) * value, aux

    return real(method, dataclasses.replace(turn, loss=loss), state, batch, keys)

core.play = play
"""


def faulty(folder: Path, fault: str) -> dict[str, str]:
    """The environment of a process that runs `fault` when Python starts, as a site's own sitecustomize.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(fault, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", str(Path.cwd()))])}
