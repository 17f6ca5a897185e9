"""Where metrics and sample sheets go beside metrics.jsonl: TensorBoard, Weights & Biases, MLflow.

A tracker is four lines of calls. None is ever required, and one that fails is left out for the rest of the run: no
network and no server may end a training. W&B and MLflow read their own environment variables for server, project and
mode (`WANDB_MODE=offline` needs no account); what they write on this machine stays in the run's folder.
"""

import hashlib
import importlib
import importlib.util
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from prodgen_jax.errors import InputError
from prodgen_jax.progress import tell
from prodgen_jax.training.events import EventFile

PROJECT = "prodgen_jax"  # W&B's project, MLflow's experiment


class Tracker(Protocol):
    """Made as `T(out, config, start)`: the run's folder, its config.json, and the step that it goes on from."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def sheet(self, step: int, path: Path) -> None: ...

    def close(self, failed: bool) -> None: ...


class TensorBoard:
    """Event files in `RUN/tensorboard`; `tensorboard --logdir RUNS` shows them."""

    def __init__(self, out: Path, config: dict, start: int):
        self.file = EventFile(out / "tensorboard", start)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.file.scalars(step, values)

    def sheet(self, step: int, path: Path) -> None:
        self.file.picture(step, "samples", path.read_bytes())

    def close(self, failed: bool) -> None:
        """Nothing is held open."""


class WandB:
    """Weights & Biases, into `RUN/wandb`. The run's identity comes from its folder and config, so that a resumed run
    stays one; offline each start writes a folder of its own with that identity, and `wandb sync` joins them."""

    def __init__(self, out: Path, config: dict, start: int):
        self.wandb = importlib.import_module("wandb")
        identity = hashlib.sha256(f"{out.resolve()}{json.dumps(config, sort_keys=True)}".encode()).hexdigest()[:16]
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        about = {"project": project, "name": out.name, "dir": str(out), "config": config}
        self.run = self.wandb.init(**about, id=identity, resume="allow")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def sheet(self, step: int, path: Path) -> None:
        self.run.log({"samples": self.wandb.Image(str(path))}, step=step)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


class MLflow:
    """MLflow, to the server that is set, or else into `RUN/mlflow`, which `mlflow ui --backend-store-uri
    sqlite:///RUN/mlflow/mlflow.db` shows. `RUN/mlflow.txt` keeps the run's identity, so that a resumed run stays one.

    All goes through a client of its own: a notebook's active run and tracking address are left alone.
    """

    def __init__(self, out: Path, config: dict, start: int):
        mlflow, file = importlib.import_module("mlflow"), out / "mlflow.txt"
        self.entities = importlib.import_module("mlflow.entities")
        store = None if mlflow.is_tracking_uri_set() else out.resolve() / "mlflow"
        self.client = mlflow.MlflowClient(store and local_address(store))
        if file.exists():
            self.id = file.read_text(encoding="utf-8").strip()
            self.client.update_run(self.id, status="RUNNING")
            return
        self.id = self.client.create_run(self.experiment(store), run_name=out.name).info.run_id
        file.write_text(self.id, encoding="utf-8")
        for name, value in {"method": config["method"], **config["settings"]}.items():
            self.client.log_param(self.id, name, value)

    def experiment(self, store: Path | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if found := self.client.get_experiment_by_name(name):
            return found.experiment_id
        return self.client.create_experiment(name, store and (store / "artifacts").as_uri())

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self.client.log_batch(self.id, [self.entities.Metric(name, values[name], now, step) for name in values])

    def sheet(self, step: int, path: Path) -> None:
        self.client.log_artifact(self.id, str(path), "samples")

    def close(self, failed: bool) -> None:
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


def local_address(store: Path) -> str:
    """Of an MLflow database in this folder; left alone, MLflow writes into the folder that one happens to be in."""
    store.mkdir(exist_ok=True)
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # which tables it makes is nobody's concern
    return f"sqlite:///{store / 'mlflow.db'}"


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

    def __exit__(self, kind, *_) -> None:
        for name, tracker in list(self.active.items()):
            self._try(name, lambda tracker=tracker: tracker.close(kind is not None))
