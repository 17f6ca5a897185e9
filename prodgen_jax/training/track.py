"""What a run writes down while it trains: metrics.jsonl, one line per logged step."""

import json
import math
from pathlib import Path

import jax

from prodgen_jax.errors import InputError
from prodgen_jax.training.trackers import Trackers


class DivergedError(InputError):
    """A loss or gradient is no longer a finite number."""


class Metrics:
    """Collects each step's metrics and writes every `every`-th as a line; none that is not finite passes unseen.

    Values are fetched from the device only when a line is due, so that steps are not held up.
    """

    def __init__(self, file: Path, every: int, start: int, trackers: Trackers | None = None):
        self.file, self.every, self.waiting, self.trackers = file, every, [], trackers
        self.last: dict[str, float] = {}
        cut_after(file, start)

    def add(self, step: int, metrics: dict, seconds: float) -> bool:
        """True if a line was written. DivergedError names the first step and metric that is not finite."""
        self.waiting.append((step, metrics))
        if len(self.waiting) < self.every:
            return False
        self.flush(seconds)
        return True

    def flush(self, seconds: float) -> None:
        """Checks all that waits and writes its last step's line."""
        if not self.waiting:
            return
        for step, metrics in jax.device_get(self.waiting):
            for name, value in metrics.items():
                if not math.isfinite(value):
                    raise DivergedError(
                        f"step {step}: {name} is {value}; the last checkpoint before it is kept. "
                        "Lower the learning rate or clip the gradient, then --resume or start anew"
                    )
            self.last |= {name: float(value) for name, value in metrics.items()}
        self.waiting.clear()
        self.write(step, self.last, seconds)

    def write(self, step: int, values: dict[str, float], seconds: float) -> None:
        """A line of its own, here and at every tracker."""
        line = {"step": step, "time_s": round(seconds, 3), **values}
        with open(self.file, "a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        if self.trackers is not None:
            self.trackers.scalars(step, values)


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
