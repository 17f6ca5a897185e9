"""What a run writes down while it trains: metrics.jsonl, one line per logged step."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jax import Array

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import State
from prodgen_jax.progress import tell
from prodgen_jax.training.parallel import NEVER
from prodgen_jax.training.trackers import Trackers

MOST_SKIPS = 20  # steps in a row; then it is the parameters that are bad, and no batch will mend them


class DivergedError(InputError):
    """A loss or gradient is no longer a finite number."""


@dataclass
class Numbers:
    """What happens where a number is not finite: the run ends, or the step was skipped and is left out of the log.

    groups: what each turn trains. A skip is told on stderr; after MOST_SKIPS in a row the run ends all the same.
    """

    groups: tuple[str, ...] = ()
    skip: bool = False
    in_a_row: int = 0

    def pass_on(self, step: int, metrics: dict, bad: int) -> bool:
        """Whether these metrics may be logged. DivergedError names step, turn, group and metric."""
        names = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad == NEVER and not names:
            self.in_a_row = 0
            return True
        said = self.describe(step, metrics, names, bad)
        self.in_a_row += 1
        if not self.skip:
            raise DivergedError(
                f"{said}; the last checkpoint before it is kept. "
                "Lower the learning rate or clip the gradient, then --resume or start anew"
            )
        if self.in_a_row >= MOST_SKIPS:
            raise DivergedError(f"{said}; that was step {self.in_a_row} in a row to be skipped, so the run ends")
        tell(f"{said}; the step is skipped")
        return False

    def describe(self, step: int, metrics: dict, names: list[str], bad: int) -> str:
        if bad == NEVER:
            return f"step {step}: {names[0]} is {metrics[names[0]]}"
        at, turn = divmod(bad, len(self.groups))
        group = self.groups[turn]
        name = min(names, key=lambda name: name != f"grad/{group}", default=f"grad/{group}")
        where = f"turn {turn + 1} of {len(self.groups)}, which trains '{group}'"
        return f"step {at + 1}: {name} is {metrics.get(name, 'no number')} ({where})"


class Metrics:
    """Collects each step's metrics and writes every `every`-th as a line; none that is not finite passes unseen.

    Values are fetched from the device only when a line is due, so that steps are not held up.
    """

    def __init__(
        self, file: Path, every: int, start: int, trackers: Trackers | None = None, numbers: Numbers | None = None
    ):
        self.file, self.every, self.waiting, self.trackers = file, every, [], trackers
        self.numbers = numbers or Numbers()
        self.last: dict[str, float] = {}
        cut_after(file, start)

    def add(self, step: int, metrics: dict, seconds: float, bad: Array | int = NEVER) -> bool:
        """True if a line was written. DivergedError names the first step and metric that is not finite."""
        self.waiting.append((step, metrics, bad))
        if len(self.waiting) < self.every:
            return False
        self.flush(seconds)
        return True

    def flush(self, seconds: float) -> None:
        """Checks all that waits and writes its last step's line."""
        if not self.waiting:
            return
        for step, metrics, bad in jax.device_get(self.waiting):
            if self.numbers.pass_on(step, metrics, int(bad)):
                self.last |= {name: float(value) for name, value in metrics.items()}
        self.waiting.clear()
        if self.last:
            self.write(step, self.last, seconds)

    def write(self, step: int, values: dict[str, float], seconds: float) -> None:
        """A line of its own, here and at every tracker."""
        line = {"step": step, "time_s": round(seconds, 3), **values}
        with open(self.file, "a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        if self.trackers is not None:
            self.trackers.scalars(step, values)


def finite(state: State) -> State:
    """The state as it is. DivergedError names the first group whose parameters are no finite numbers."""
    for group, params in jax.device_get(state.params).items():
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise DivergedError(
                f"step {int(state.step)}: parameters of '{group}' are no finite numbers; the last checkpoint before it "
                "is kept. Lower the learning rate or clip the gradient, then --resume or start anew"
            )
    return state


def read_metrics(file: Path) -> list[dict]:
    """The lines of a metrics.jsonl; one that is damaged, or was cut short by a kill, is left out."""
    lines = []
    for text in Path(file).read_bytes().splitlines() if Path(file).exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def cut_after(file: Path, step: int) -> None:
    """Drops lines beyond `step`, where a resumed run will write them again. The file is replaced as a whole."""
    kept = [line for line in read_metrics(file) if line["step"] <= step]
    if file.exists():
        part = file.with_suffix(".partial")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        part.replace(file)
