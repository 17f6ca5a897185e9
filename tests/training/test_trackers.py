"""Trackers: event files as TensorBoard reads them, adapters against stand-ins and against the real packages' offline
modes where these are installed, and none that can end a run."""

import sqlite3
import struct
import sys
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from prodgen_jax.data.images import save_png
from prodgen_jax.errors import InputError
from prodgen_jax.training import events
from prodgen_jax.training.events import EventFile, checksum, crc32c, varint
from prodgen_jax.training.trackers import Trackers, check_trackers

CONFIG = {"method": "vae", "settings": {"lr": 0.1, "batch": 16}}


def test_checksum_of_the_standard():
    """RFC 3720, B.4, and CRC-32C's check value."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(bytes(range(32))) == 0x46DD794E


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def fields(data):
    """[(number, value)] of a message: what the wire format says, whatever wrote it."""
    found, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = divmod(key, 8)
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 2:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            size, form = {1: (8, "<d"), 5: (4, "<f")}[kind]
            (value,), at = struct.unpack(form, data[at : at + size]), at + size
        found.append((number, value))
    return found


def records(path):
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        head = data[at : at + 8]
        (size,) = struct.unpack("<Q", head)
        body = data[at + 12 : at + 12 + size]
        assert data[at + 8 : at + 12] == checksum(head) and data[at + 12 + size : at + 16 + size] == checksum(body)
        found.append(dict(fields(body)))
        at += 16 + size
    return found


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31])
def test_varint(value):
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


def test_an_event_file_holds_what_was_logged(tmp_path, monkeypatch):
    monkeypatch.setattr(events.time, "time", lambda: 12.5)
    file = EventFile(tmp_path, 0)
    file.scalars(300, {"loss/a": 0.5, "loss/b": -2.0})
    save_png(tmp_path / "s.png", np.zeros((4, 6, 3), np.uint8))
    file.picture(301, "samples", (tmp_path / "s.png").read_bytes())
    first, scalars, picture = records(file.path)
    assert first == {1: 12.5, 2: 0, 3: b"brain.Event:2"} and scalars[2] == 300
    assert [dict(fields(value)) for _, value in fields(scalars[5])] == [{1: b"loss/a", 2: 0.5}, {1: b"loss/b", 2: -2.0}]
    shown = dict(fields(dict(fields(picture[5]))[1]))
    image = dict(fields(shown[4]))
    assert shown[1] == b"samples" and (image[1], image[2], image[3]) == (4, 6, 3)
    assert image[4] == (tmp_path / "s.png").read_bytes()


def test_a_resumed_run_writes_a_later_file_that_overrules_the_steps_to_come(tmp_path):
    first, second = EventFile(tmp_path, 0).path, EventFile(tmp_path, 40).path
    assert first.name < second.name and "tfevents" in second.name
    start = records(second)[1]
    assert start[2] == 41 and fields(start[7]) == [(1, events.SESSION_START)]


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
        log=lambda values, step: calls.append(("log", values, step)),
        finish=lambda exit_code: calls.append(("finish", exit_code)),
    )
    stand_in("wandb", init=lambda **about: calls.append(about) or run, Image=lambda path: f"image {path}")
    for _ in range(2):
        with Trackers(["wandb"], tmp_path / "run", CONFIG, 0) as trackers:
            trackers.scalars(3, {"loss/a": 1.0})
            trackers.sheet(4, tmp_path / "s.png")
    first, *logged = calls[:4]
    assert first["resume"] == "allow" and first["config"] == CONFIG and first["name"] == "run"
    sheet = {"samples": f"image {tmp_path / 's.png'}"}
    assert logged == [("log", {"loss/a": 1.0}, 3), ("log", sheet, 4), ("finish", 0)]
    assert calls[4]["id"] == first["id"]  # the resumed run is the same one


def test_mlflow_is_called_as_it_asks(stand_in, tmp_path):
    calls = []

    class Client:
        """Notes every call, as (name, arguments)."""

        def __init__(self, address):
            calls.append(("client", address))

        def __getattr__(self, name):
            run = SimpleNamespace(info=SimpleNamespace(run_id="r7"), experiment_id="7")
            return lambda *about, **named: calls.append((name, *about, *named.values())) or run

    stand_in("mlflow", is_tracking_uri_set=lambda: True, MlflowClient=Client)
    stand_in("mlflow.entities", Metric=lambda key, value, timestamp, step: (key, value, step))
    for step in (3, 5):
        with Trackers(["mlflow"], tmp_path, CONFIG, 0) as trackers:
            trackers.scalars(step, {"loss/a": 1.0})
            trackers.sheet(step, tmp_path / "s.png")
    sheet, end = ("log_artifact", "r7", str(tmp_path / "s.png"), "samples"), ("set_terminated", "r7", "FINISHED")
    params = [("log_param", "r7", *pair) for pair in (("method", "vae"), ("lr", 0.1), ("batch", 16))]
    told = [("log_batch", "r7", [("loss/a", 1.0, step)]) for step in (3, 5)]
    assert [call[0] for call in calls[:3]] == ["client", "get_experiment_by_name", "create_run"]
    assert calls[3:9] == [*params, told[0], sheet, end]
    assert calls[9:] == [("client", None), ("update_run", "r7", "RUNNING"), told[1], sheet, end]


def real(name, monkeypatch):
    """The package itself, cut off from its maker's servers; skips where it is not installed."""
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    reason = f"{name} is not installed: W&B and MLflow bring over 100 MB, so only the extra `track` asks for them"
    return pytest.importorskip(name, reason=reason)


def in_two_starts(name, out):
    """A run that logs step 3, and goes on to step 5 in a second start, whose end is an error."""
    out.mkdir()
    save_png(out / "s.png", np.zeros((4, 6, 3), np.uint8))
    for step, ends in ((3, nullcontext()), (5, pytest.raises(InputError))):
        with ends, Trackers([name], out, CONFIG, 0) as trackers:
            trackers.scalars(step, {"loss/a": step / 2})
            trackers.sheet(step, out / "s.png")
            if step == 5:
                raise InputError("diverged")


@pytest.mark.slow
def test_mlflow_itself_keeps_one_run_within_the_run_folder(tmp_path, monkeypatch, capsys):
    mlflow = real("mlflow", monkeypatch)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "a run, 100%"
    in_two_starts("mlflow", out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name] and not mlflow.is_tracking_uri_set()
    with sqlite3.connect(out / "mlflow" / "mlflow.db") as store:
        assert store.execute("select name, status from runs").fetchall() == [(out.name, "FAILED")]
        logged = store.execute("select key, value, step from metrics order by step").fetchall()
        params = dict(store.execute("select key, value from params").fetchall())
    assert logged == [("loss/a", 1.5, 3), ("loss/a", 2.5, 5)] and params == {
        "method": "vae",
        "lr": "0.1",
        "batch": "16",
    }
    (sheet,) = (out / "mlflow").rglob("s.png")
    assert sheet.read_bytes() == (out / "s.png").read_bytes() and "left out" not in capsys.readouterr().err


@pytest.mark.slow
def test_wandb_itself_offline_keeps_one_identity_within_the_run_folder(tmp_path, monkeypatch, capsys):
    real("wandb", monkeypatch)
    monkeypatch.chdir(tmp_path)
    in_two_starts("wandb", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2 and files[0].name == files[1].name
    for file, value in zip(files, (b"1.5", b"2.5"), strict=True):
        data = file.read_bytes()
        assert b"loss/a" in data and value in data and list(file.parent.rglob("media/images/samples*.png"))
    assert "left out" not in capsys.readouterr().err


def test_a_tracker_that_fails_is_told_once_and_left_out(stand_in, tmp_path, capsys):
    def fails(*_, **__):
        raise ConnectionError("no server there")

    stand_in("wandb", init=lambda **about: SimpleNamespace(log=fails, finish=fails))
    with Trackers(["wandb", "tensorboard"], tmp_path, CONFIG, 0) as trackers:
        trackers.scalars(1, {"a": 1.0})
        trackers.scalars(2, {"a": 1.0})
    assert capsys.readouterr().err == "track=wandb failed and is left out from here on: no server there\n"
    assert len(records(next((tmp_path / "tensorboard").iterdir()))) == 3


def test_trackers_that_cannot_be(monkeypatch):
    check_trackers(["tensorboard"])
    with pytest.raises(InputError, match="track=excel is not known; choose tensorboard, wandb, mlflow"):
        check_trackers(["excel"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="track=mlflow: its package is not installed; pip install mlflow"):
        check_trackers(["mlflow"])
