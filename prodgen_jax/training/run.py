"""A run on disk: `config.json`, `metrics.jsonl`, `checkpoints/<step>/`, `best/<step>/`, `samples/<step>.png`,
`tensorboard/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import jax

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import Method, Params, State, init_state
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.recipe import Recipe, recipe
from prodgen_jax.training.track import read_metrics

BEST = "best"  # the folder of the best checkpoint
CONFIG = ("method", "settings", "size", "attributes", "fingerprint", "seed", "versions")


def config_of(made: Recipe, prepared: PreparedSet, seed: int) -> dict:
    """What config.json says: enough to build the method again and to know the data it saw."""
    return {
        "method": made.name,
        "settings": made.settings(),
        "size": prepared.size,
        "attributes": {name: list(values) for name, values in prepared.attributes.items()},
        "fingerprint": prepared.fingerprint,
        "seed": seed,
        "versions": {name: version(name) for name in ("jax", "flax", "optax")},
    }


@dataclass(frozen=True)
class Run:
    """A trained run. `params` are the averaged ones, ready to sample with.

    part: the folder of its checkpoints: `checkpoints` holds the newest, `best` the one of the best validation metric.
    """

    path: Path
    config: dict
    part: str = "checkpoints"

    @property
    def recipe(self) -> Recipe:
        return recipe(self.config["method"], **self.config["settings"])

    @property
    def attributes(self) -> dict[str, list[str]]:
        return self.config["attributes"]

    @property
    def spec(self) -> Spec:
        return Spec(self.config["size"], 3, {name: len(values) for name, values in self.attributes.items()})

    @cached_property
    def method(self) -> Method:
        return self.recipe.build(self.spec)

    def sampling_with(self, settings: Mapping) -> Method:
        """The run's method with other settings of sampling. InputError lists those, should a name not be one."""
        name, trained = self.config["method"], self.config["settings"]
        free = METHODS[name].sampling
        for key in settings:
            if key not in free:
                may = f"those of sampling may: {', '.join(free)}" if free else f"a {name} has none of sampling"
                raise InputError(f"setting '{key}' cannot be changed after training; {may}")
        return recipe(name, **{**trained, **settings}).build(self.spec)

    @cached_property
    def _restored(self) -> tuple[State, dict]:
        method = self.method  # made here: made within the trace, it would keep what is traced
        like = jax.eval_shape(lambda: init_state(method, jax.random.key(0)))
        like = like._replace(key=jax.random.key(0))
        with Checkpoints(self.path / self.part) as saves:
            return saves.restore(like)

    @property
    def params(self) -> Params:
        return self._restored[0].averaged

    @property
    def step(self) -> int:
        return int(self._restored[0].step)

    @property
    def seconds(self) -> float:
        """Seconds of training behind the newest checkpoint."""
        return self._restored[1]["seconds"]

    @property
    def best(self) -> dict | None:
        """{metric, value, step, waited} of the best check so far, None where there was none."""
        best = self._restored[1].get("best")
        return best if best and best["step"] else None

    @property
    def metrics(self) -> list[dict]:
        return read_metrics(self.path / "metrics.jsonl")


def open_run(path: str | Path) -> Run:
    """The run in a folder; `RUN/best` is the same run with its best parameters. InputError if it is none."""
    path, part = Path(path), "checkpoints"
    if path.name == BEST and not (path / "config.json").exists():
        path, part = path.parent, BEST
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        return Run(path, {name: config[name] for name in CONFIG}, part)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a run folder (no readable config.json); make one with 'prodgen train'"
        ) from error
