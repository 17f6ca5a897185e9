"""The validation metric: what a run is stopped by, and what a search goes by.

It is taken on pictures that are never trained on, unaugmented, by the averaged parameters, with the same random keys
at each check, so that two checks differ by the parameters alone. No gradient is taken and nothing of the state moves.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import jax
import numpy as np

from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import Split
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Params, State
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.recipe import FitSettings

SEED = 0  # of the keys that a method's metric draws with


class Validation:
    """`Validation(...)(params)` -> (name, value), lower is better: the mean over the split's first `images` pictures.

    images: 0 takes the whole split. InputError where the split is empty or the method has no such metric.
    """

    def __init__(self, name: str, method: Method, split: Split, images: int, batch: int):
        if method.validate is None:
            raise InputError(
                f"{name} has no validation metric, so it cannot be stopped or searched by one: an adversary's loss "
                "says who is ahead, not how good the pictures are; train for --steps or --minutes and compare runs "
                "with `prodgen evaluate`"
            )
        if len(split) == 0:
            raise InputError("the validation split has no pictures; prepare the set with a larger --val")
        self.n = min(images or len(split), len(split))
        self.split, self.batch = split, batch
        self.keys = jax.random.split(jax.random.key(SEED), self.n)
        self.measure = jitted(
            lambda params, image, label, keys: method.validate(
                params, {"image": to_signed(image), "label": label}, keys
            )
        )

    def __call__(self, params: Params) -> tuple[str, float]:
        total = 0.0
        for start in range(0, self.n, self.batch):
            rows = slice(start, min(start + self.batch, self.n))
            label = {name: values[rows] for name, values in self.split.labels.items()}
            found = self.measure(params, np.asarray(self.split.images[rows]), label, self.keys[rows])
            ((name, value),) = found.items()
            total += float(value) * (rows.stop - start)
        return name, total / self.n


@dataclass
class Best:
    """The lowest value so far, where it was met, and the checks since then; travels with each checkpoint."""

    metric: str = ""
    value: float = math.inf
    step: int = 0
    waited: int = 0

    def see(self, metric: str, value: float, step: int) -> bool:
        """Whether this value is the best so far. One that is no number is never."""
        if not value < self.value:
            self.waited += 1
            return False
        self.metric, self.value, self.step, self.waited = metric, value, step, 0
        return True


@dataclass
class Checks:
    """Measures, keeps the best state in a folder of its own, and says when patience has run out.

    on_check: called with (step, value) after each check; what it raises ends the run.
    """

    settings: FitSettings
    validation: Validation
    best: Best
    saves: Checkpoints
    on_check: Callable[[int, float], None] | None = None

    def __call__(self, state: State, meta: dict) -> dict[str, float]:
        """The metric by its name in the log. state: one device's copy; meta: what its checkpoint is to say."""
        name, value = self.validation(state.averaged)
        if self.best.see(name, value, int(state.step)):
            self.saves.save(state, {**meta, "best": asdict(self.best)})
        if self.on_check is not None:
            self.on_check(int(state.step), value)
        return {f"validation/{name}": value}

    @property
    def over(self) -> bool:
        """No better value for `patience` checks."""
        return 0 < self.settings.patience <= self.best.waited
