"""The matrix of docs/reliability.md: a training is ended in each bad way through the real command line, then resumed.

python benchmarks/reliability.py --work FOLDER --out docs/reliability.md

A case is passed when what it did ended as it should, its newest whole checkpoint is the straight run's at that step,
and the resumed run's is too, bit for bit: parameters, optimizer, averages, key. The cases on a full and on a read-only
disk mount a small tmpfs, so they need root on Linux. `tests/training/test_reliability.py` runs some of the cases.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from prodgen_jax.cli import main as prodgen
from prodgen_jax.data.prepare import open_or_prepare
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
FAILED = "FAILED"
MARK, END = "<!-- table: benchmarks/reliability.py -->", "<!-- end of table -->"


class Row(NamedTuple):
    """One line of the table: what was done, how it ended, what was said, and the steps saved and resumed to."""

    case: str
    ended: str
    said: str
    saved: int
    resumed: int


@dataclass
class Lab:
    """The straight run, with every checkpoint kept, and a folder for the runs that are to suffer."""

    data: Path
    work: Path

    def __post_init__(self):
        self.straight = self.work / "straight"
        if not (self.straight / "done").exists():
            ended, said = self.here(self.straight, LAST, keep=10**6)
            assert ended == 0, said
            (self.straight / "done").touch()
        like = open_run(self.straight)._restored[0]
        self.like: State = like

    def folder(self, name: str) -> Path:
        """An empty place for a case's run."""
        out = self.work / "".join(letter if letter.isalnum() else "-" for letter in name)
        shutil.rmtree(out, ignore_errors=True)
        return out

    def arguments(self, out: Path, steps: int, *more: str, **settings) -> list[str]:
        chosen = [f"--set={name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        return ["train", "vae", str(self.data), "--out", str(out), "--steps", str(steps), *chosen, *more]

    def here(self, out: Path, steps: int, *more: str, **settings) -> tuple[int, str]:
        """The command in this process: its exit code and what it said on stderr."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = prodgen(self.arguments(out, steps, *more, **settings))
        return code, said.getvalue()

    @contextlib.contextmanager
    def apart(self, out: Path, **environment) -> Iterator[subprocess.Popen]:
        """The command in a process of its own, once its first checkpoint is whole."""
        command = [sys.executable, "-m", "prodgen_jax.cli", *self.arguments(out, 10**6)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env={**os.environ, **environment}, **pipes)
        try:
            wait(process, lambda: steps_in(out))
            yield process
        finally:
            process.kill()
            process.communicate()

    def same(self, out: Path) -> int:
        """The newest whole checkpoint's step, if its numbers are the straight run's there (it has each 20th)."""
        state = open_run(out)._restored[0]
        step = int(state.step)
        if step % EVERY == 0:
            with Checkpoints(self.straight / "checkpoints") as saves:
                wanted = flatten(saves.read(step, self.like)[0])
            found = flatten(state)
            different = [name for name in wanted if not np.array_equal(wanted[name], found[name])]
            assert not different, f"{out} at step {step} differs from the straight run in {different[:3]}"
        return step

    def resumed(self, out: Path) -> tuple[int, str]:
        """The step of a whole checkpoint after the run went on a little, and what was said meanwhile."""
        newest = max(steps_in(out))
        goal = (newest // EVERY + 2) * EVERY
        assert goal <= LAST, f"the straight run ends at step {LAST}, this one is at {newest} already"
        code, said = self.here(out, goal, "--resume")
        assert code == 0, said
        assert self.same(out) == goal
        return goal, said


def steps_in(out: Path) -> list[int]:
    return [int(p.name) for p in (out / "checkpoints").glob("*") if p.name.isdecimal()]


def saving(out: Path) -> bool:
    """Whether a checkpoint is being written at this moment."""
    return any((out / "checkpoints").glob("*orbax-checkpoint-tmp*"))


def wait(process: subprocess.Popen, condition: Callable, seconds: float = 120) -> None:
    """Until the condition holds. AssertionError where the process ends before, or it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < end, "the run does not get on"
        time.sleep(0.002)


def last_line(text: str, limit: int = 150) -> str:
    lines = [line for line in text.strip().splitlines() if line and not line.startswith("training ")]
    return lines[-1][:limit] if lines else ""


def ended_by(lab: Lab, name: str, signals: list[int], inside: bool, seed: int, wanted: int) -> Row:
    """Signals at a random moment after the first checkpoint; inside: while a checkpoint is being written."""
    out = lab.folder(name)
    pause = random.Random(seed).uniform(0, 1.0)
    with lab.apart(out) as process:
        time.sleep(pause)
        if inside:
            wait(process, lambda: saving(out))
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == wanted and "Traceback" not in said, (process.returncode, said[-2000:])
    saved = lab.same(out)
    resumed, _ = lab.resumed(out)
    return Row(name, f"exit {wanted}" if wanted >= 0 else f"signal {-wanted}", last_line(said), saved, resumed)


def spoiled(lab: Lab, name: str, spoil: Callable[[Path], None]) -> Row:
    """The newest checkpoint of a finished run is damaged: the one before it must be taken, and it must be said."""
    out = lab.folder(name)
    assert lab.here(out, 3 * EVERY)[0] == 0
    spoil(out / "checkpoints" / str(3 * EVERY))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        saved = lab.same(out)
    assert saved == 2 * EVERY and "damaged" in said.getvalue(), (saved, said.getvalue())
    resumed, said = lab.resumed(out)
    return Row(name, "falls back", last_line(said).replace(str(lab.work), "..."), saved, resumed)


def largest(folder: Path) -> Path:
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(folder: Path) -> None:
    file = largest(folder)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(folder: Path, share: float = 0.5) -> None:
    """Turns over one bit of the file that holds most of the numbers, so far into it."""
    file = largest(folder)
    data = bytearray(file.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0b100
    file.write_bytes(data)


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Callable[[str], None]]:
    """A tmpfs of 4 MB at `place`; yields `remount(options)`. OSError where this is not allowed."""
    place.mkdir(parents=True)

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


def full_disk(lab: Lab) -> Row:
    """The disk fills up while checkpoints are written; with room again the run goes on."""
    with small_disk(lab.work / "small") as remount:
        out, ballast = lab.work / "small" / "run", lab.work / "small" / "ballast"
        with lab.apart(out) as process:
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            said = process.communicate(timeout=120)[1]
            ended = process.returncode, "No space left" in said, "Traceback" not in said
            assert ended == (2, True, True), f"{ended} {said[-2000:]!r}"
        saved = lab.same(out)
        remount("size=64m")
        resumed, _ = lab.resumed(out)
    return Row("full disk", "exit 2", last_line(said).replace(str(lab.work), "..."), saved, resumed)


def read_only(lab: Lab) -> Row:
    """Nothing can be written: a clear refusal, and the run can still be read."""
    with small_disk(lab.work / "fixed") as remount:
        out = lab.work / "fixed" / "run"
        assert lab.here(out, 2 * EVERY)[0] == 0
        remount("ro")
        code, said = lab.here(out, 3 * EVERY, "--resume")
        assert code == 2 and "Read-only" in said, (code, said)
        saved = lab.same(out)
        remount("rw")
        resumed, _ = lab.resumed(out)
    return Row("read-only folder", "exit 2", last_line(said).replace(str(lab.work), "..."), saved, resumed)


def refused(lab: Lab, name: str, *more: str, **settings) -> Row:
    """A resume with something else than what was begun names the difference and touches nothing."""
    out = lab.folder(name)
    assert lab.here(out, EVERY)[0] == 0
    code, said = lab.here(out, 2 * EVERY, "--resume", *more, **settings)
    assert code == 2 and "cannot go on with other" in said, (code, said)
    saved = lab.same(out)
    resumed, _ = lab.resumed(out)
    return Row(name, "exit 2", last_line(said).replace(str(lab.work), "..."), saved, resumed)


BACKWARDS = """
import time
begun, real = time.monotonic(), time.time
time.time = lambda: real() - 3600 * (time.monotonic() - begun)
"""


def clock_backwards(lab: Lab) -> Row:
    """The date runs backwards, an hour in each second, and the newest files look the oldest."""
    out, site = lab.folder("clock"), lab.folder("site")
    site.mkdir()
    (site / "sitecustomize.py").write_text(BACKWARDS)
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", str(Path.cwd()))])
    with lab.apart(out, PYTHONPATH=paths) as process:
        wait(process, lambda: len(steps_in(out)) > 1)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said[-2000:]
    for age, step in enumerate(sorted(steps_in(out))):
        os.utime(out / "checkpoints" / str(step), (10**9 - age, 10**9 - age))
    saved, (resumed, _) = lab.same(out), lab.resumed(out)
    times = [line["time_s"] for line in open_run(out).metrics]
    assert times == sorted(times), "seconds of training went backwards"
    return Row("date runs backwards", "exit 0", last_line(said), saved, resumed)


def cases(moments: int, seed: int) -> dict[str, Callable[[Lab], Row]]:
    """{name: case}; `moments` kills, every second one of them inside a save."""
    by = {}
    for name, signals, inside, wanted in (
        ("Ctrl-C", [signal.SIGINT], False, 130),
        ("Ctrl-C twice, inside a save", [signal.SIGINT] * 2, True, 130),
        ("SIGTERM", [signal.SIGTERM], False, 0),
        ("SIGTERM inside a save", [signal.SIGTERM], True, 0),
    ):
        by[name] = partial(ended_by, name=name, signals=signals, inside=inside, seed=seed + len(by), wanted=wanted)
    by["newest checkpoint cut short"] = partial(spoiled, name="newest checkpoint cut short", spoil=truncate)
    for share in (0.1, 0.5):
        name = f"a bit flipped at {share:.0%} of its numbers"
        by[name] = partial(spoiled, name=name, spoil=partial(flip, share=share))
    by["full disk"], by["read-only folder"] = full_disk, read_only
    by["another setting"] = partial(refused, name="another setting", lr=0.5)
    by["another seed"] = lambda lab: refused(lab, "another seed", "--seed", "1")
    by["date runs backwards"] = clock_backwards
    for i in range(moments):
        name = f"kill -9, moment {i + 1}{' inside a save' if i % 2 else ''}"
        by[name] = partial(ended_by, name=name, signals=[signal.SIGKILL], inside=i % 2 == 1, seed=seed + i, wanted=-9)
    return by


def tried(name: str, case: Callable[[Lab], Row], lab: Lab) -> Row:
    """The case's row; one that fails says why, and keeps no other from its turn."""
    try:
        return case(lab)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        return Row(name, FAILED, last_line(str(error)), 0, 0)


def table(rows: list[Row]) -> str:
    head = ["| case | ended | said | saved step | resumed to |", "| --- | --- | --- | ---: | ---: |"]
    return "\n".join([*head, *("| " + " | ".join(map(str, row)).replace("\n", " ") + " |" for row in rows)])


def write_table(page: Path, rows: list[Row]) -> None:
    before, rest = page.read_text(encoding="utf-8").split(MARK, 1)
    text = before + MARK + "\n\n" + table(rows) + "\n\n" + END + rest.split(END, 1)[1]
    page.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="what is finished there is not done again")
    parser.add_argument("--out", type=Path, help="a page whose table between the marks is written anew")
    parser.add_argument("--moments", type=int, default=10, help="how many kill -9 (default 10)")
    parser.add_argument("--cases", default="", help="only cases whose name holds one of these words, A,B,C")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    args = parser.parse_args()
    place, done = args.work / "set", args.work / "rows.json"
    data = open_or_prepare(place if place.exists() else "demo:60", place, size=8)
    lab = Lab(data.path, args.work)
    rows = {name: Row(*row) for name, row in (json.loads(done.read_text()) if done.exists() else {}).items()}
    known = cases(args.moments, args.seed)
    chosen = [name for part in args.cases.split(",") for name in known if part in name]
    for name in chosen:
        if name in rows and rows[name].ended != FAILED:
            continue
        begun = time.monotonic()
        rows[name] = tried(name, known[name], lab)
        print(f"{time.monotonic() - begun:5.1f} s  {name}: {rows[name]}", flush=True)
        done.write_text(json.dumps(rows))
        if args.out:
            write_table(args.out, list(rows.values()))
    return int(any(row.ended == FAILED for row in rows.values()))


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")  # bit for bit is promised on CPU
    sys.exit(main())
