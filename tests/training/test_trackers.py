"""Trackers: event files as TensorBoard reads them, adapters against stand-ins, and none that can end a run."""

import struct
import sys
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
    assert len(records(next((tmp_path / "tensorboard").iterdir()))) == 3


def test_trackers_that_cannot_be(monkeypatch):
    check_trackers(["tensorboard"])
    with pytest.raises(InputError, match="track=excel is not known; choose tensorboard, wandb, mlflow"):
        check_trackers(["excel"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="track=mlflow: its package is not installed; pip install mlflow"):
        check_trackers(["mlflow"])
