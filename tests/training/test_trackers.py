"""Trackers: event files as TensorBoard reads them, adapters against stand-ins, and none that can end a run."""

import struct
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from prodgen_jax.data.images import save_png
from prodgen_jax.errors import InputError
from prodgen_jax.training.trackers import Trackers, check_trackers

CONFIG = {"method": "vae", "settings": {"lr": 0.1, "batch": 16}}


def events(folder):
    """Every event of every file, oldest first. A record is a length (8 bytes, checksum 4), a message (checksum 4)."""
    found = []
    for path in sorted(folder.glob("*tfevents*"), key=lambda path: path.stat().st_mtime_ns):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + size]))
            at += 16 + size
    return found


def test_event_files_hold_what_was_logged(tmp_path):
    save_png(tmp_path / "s.png", np.zeros((4, 6, 3), np.uint8))
    with Trackers(("tensorboard",), tmp_path, CONFIG, 0) as trackers:
        trackers.scalars(300, {"loss/a": 0.5, "loss/b": -2.0})
        trackers.sheet(301, tmp_path / "s.png")
    values = [(event.step, value) for event in events(tmp_path / "tensorboard") for value in event.summary.value]
    assert [(step, v.tag, v.simple_value) for step, v in values[:2]] == [(300, "loss/a", 0.5), (300, "loss/b", -2.0)]
    step, shown = values[2]
    assert (step, shown.tag, shown.image.height, shown.image.width) == (301, "samples", 4, 6)


def test_a_resumed_run_overrules_the_steps_to_come(tmp_path):
    with Trackers(("tensorboard",), tmp_path, CONFIG, 40):
        pass
    start = [event for event in events(tmp_path / "tensorboard") if event.HasField("session_log")]
    assert [(event.step, event.session_log.status) for event in start] == [(41, SessionLog.START)]


@pytest.fixture
def stand_in(monkeypatch):
    """stand_in(name, **members): a module of that name, for one test."""

    def make(name, **members):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)

    return make


def test_wandb_is_called_as_it_asks(stand_in, tmp_path):
    calls = []
    run = SimpleNamespace(
        log=lambda values, step: calls.append(("log", values, step)), finish=lambda: calls.append("finish")
    )
    stand_in("wandb", init=lambda **about: calls.append(about) or run, Image=lambda path: f"image {path}")
    for _ in range(2):
        with Trackers(["wandb"], tmp_path / "run", CONFIG, 0) as trackers:
            trackers.scalars(3, {"loss/a": 1.0})
            trackers.sheet(4, tmp_path / "s.png")
    first, *logged = calls[:4]
    assert first["resume"] == "allow" and first["config"] == CONFIG and first["name"] == "run"
    sheet = {"samples": f"image {tmp_path / 's.png'}"}
    assert logged == [("log", {"loss/a": 1.0}, 3), ("log", sheet, 4), "finish"]
    assert calls[4]["id"] == first["id"]  # the resumed run is the same one


def test_mlflow_is_called_as_it_asks(stand_in, tmp_path):
    calls = []

    def start_run(run_id, run_name):
        calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="r7"))

    stand_in(
        "mlflow",
        start_run=start_run,
        log_params=lambda params: calls.append(("params", params)),
        log_metrics=lambda values, step: calls.append(("metrics", values, step)),
        log_artifact=lambda path, folder: calls.append(("artifact", path, folder)),
        end_run=lambda: calls.append("end"),
    )
    for step in (3, 5):
        with Trackers(["mlflow"], tmp_path, CONFIG, 0) as trackers:
            trackers.scalars(step, {"loss/a": 1.0})
            trackers.sheet(step, tmp_path / "s.png")
    sheet = ("artifact", str(tmp_path / "s.png"), "samples")
    params = ("params", {"method": "vae", "lr": 0.1, "batch": 16})
    assert calls[:5] == [("start", None, tmp_path.name), params, ("metrics", {"loss/a": 1.0}, 3), sheet, "end"]
    assert calls[5:] == [("start", "r7", tmp_path.name), ("metrics", {"loss/a": 1.0}, 5), sheet, "end"]


def test_a_tracker_that_fails_is_told_once_and_left_out(stand_in, tmp_path, capsys):
    def fails(*_, **__):
        raise ConnectionError("no server there")

    stand_in("wandb", init=lambda **about: SimpleNamespace(log=fails, finish=fails))
    with Trackers(["wandb", "tensorboard"], tmp_path, CONFIG, 0) as trackers:
        trackers.scalars(1, {"a": 1.0})
        trackers.scalars(2, {"a": 1.0})
    assert capsys.readouterr().err == "track=wandb failed and is left out from here on: no server there\n"
    assert [event.step for event in events(tmp_path / "tensorboard") if event.summary.value] == [1, 2]


def test_trackers_that_cannot_be(monkeypatch):
    check_trackers(["tensorboard"])
    with pytest.raises(InputError, match="track=excel is not known; choose tensorboard, wandb, mlflow"):
        check_trackers(["excel"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="track=mlflow: its package is not installed; pip install mlflow"):
        check_trackers(["mlflow"])
