"""Where metrics and sample sheets go beside metrics.jsonl: TensorBoard, Weights & Biases, MLflow.

A tracker is four lines of calls. None is ever required, and one that fails is left out for the rest of the run: no
network and no server may end a training. W&B and MLflow read their own environment variables for server and mode.
"""

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from prodgen_jax.errors import InputError
from prodgen_jax.progress import tell
from prodgen_jax.training.events import EventFile


class Tracker(Protocol):
    """Made as `T(out, config, start)`: the run's folder, its config.json, and the step that it goes on from."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def sheet(self, step: int, path: Path) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in `RUN/tensorboard`; `tensorboard --logdir RUNS` shows them."""

    def __init__(self, out: Path, config: dict, start: int):
        self.file = EventFile(out / "tensorboard", start)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.file.scalars(step, values)

    def sheet(self, step: int, path: Path) -> None:
        self.file.picture(step, "samples", path.read_bytes())

    def close(self) -> None:
        """Nothing is held open."""


class WandB:
    """Weights & Biases. The run's identity comes from its folder and config, so that a resumed run stays one."""

    def __init__(self, out: Path, config: dict, start: int):
        self.wandb = importlib.import_module("wandb")
        identity = hashlib.sha256(f"{out.resolve()}{json.dumps(config, sort_keys=True)}".encode()).hexdigest()[:16]
        about = {"project": "prodgen_jax", "name": out.name, "dir": str(out), "config": config}
        self.run = self.wandb.init(**about, id=identity, resume="allow")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def sheet(self, step: int, path: Path) -> None:
        self.run.log({"samples": self.wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self.run.finish()


class MLflow:
    """MLflow. `RUN/mlflow.txt` keeps the run's identity, so that a resumed run stays one."""

    def __init__(self, out: Path, config: dict, start: int):
        self.mlflow, file = importlib.import_module("mlflow"), out / "mlflow.txt"
        known = file.read_text(encoding="utf-8").strip() if file.exists() else None
        run = self.mlflow.start_run(run_id=known, run_name=out.name)
        if known is None:
            file.write_text(run.info.run_id, encoding="utf-8")
            self.mlflow.log_params({"method": config["method"], **config["settings"]})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.mlflow.log_metrics(dict(values), step=step)

    def sheet(self, step: int, path: Path) -> None:
        self.mlflow.log_artifact(str(path), "samples")

    def close(self) -> None:
        self.mlflow.end_run()


TRACKERS = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
NEEDS = {"wandb": "wandb", "mlflow": "mlflow"}  # {tracker: the package that it calls}


def check_trackers(names: Iterable[str]) -> None:
    """InputError where a tracker is not known, or its package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise InputError(f"track={name} is not known; choose {', '.join(TRACKERS)}, or leave it empty")
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            raise InputError(f"track={name}: its package is not installed; pip install {NEEDS[name]}, or leave it out")


class Trackers:
    """Several trackers as one; each that fails is named on stderr once and left out."""

    def __init__(self, names: Iterable[str], out: Path, config: dict, start: int):
        self.active: dict[str, Tracker] = {}
        for name in names:
            self._try(name, lambda name=name: self.active.__setitem__(name, TRACKERS[name](out, config, start)))

    def _try(self, name: str, call) -> None:
        try:
            call()
        except Exception as error:
            self.active.pop(name, None)
            tell(f"track={name} failed and is left out from here on: {error}")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, tracker in list(self.active.items()):
            self._try(name, lambda tracker=tracker: tracker.scalars(step, values))

    def sheet(self, step: int, path: Path) -> None:
        for name, tracker in list(self.active.items()):
            self._try(name, lambda tracker=tracker: tracker.sheet(step, path))

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, *_) -> None:
        for name, tracker in list(self.active.items()):
            self._try(name, tracker.close)
