"""Checkpoints: a state comes back as it was, whatever is in it, and the newest few stay."""

import logging
import shutil
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import State
from prodgen_jax.training.checkpoint import Checkpoints, flatten, hush, unflatten


def state_at(step, width=3):
    net = {"w": jax.random.normal(jax.random.key(step), (2, width)), "b": jnp.arange(width, dtype=jnp.bfloat16)}
    opt = {"net": optax.adam(0.1).init(net)}
    extra = {"code": [jnp.full((), step + 0.5), jnp.array([1, 2], jnp.int8)]}
    return State(jnp.int32(step), {"net": net}, opt, {"net": {"w": 2 * net["w"]}}, extra, jax.random.key(7 + step))


def same(one, two):
    one, two = (state._replace(key=jax.random.key_data(state.key)) for state in (one, two))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def test_flat_and_back():
    state = state_at(4)
    assert same(unflatten(flatten(state), state_at(9)), state)


def test_through_disk_and_only_the_newest_stay(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as saves:
        assert saves.latest() is None
        for step in (1, 2, 2, 5):
            saves.save(state_at(step), {"seconds": float(step)})
    with Checkpoints(tmp_path / "c") as saves:
        state, meta = saves.restore(state_at(0))
        assert saves.latest() == 5 and meta == {"seconds": 5.0} and same(state, state_at(5))
    assert sorted(p.name for p in (tmp_path / "c").iterdir() if p.is_dir()) == ["2", "5"]


def test_another_shape_is_refused(tmp_path):
    with Checkpoints(tmp_path / "c") as saves:
        saves.save(state_at(1), {})
    with Checkpoints(tmp_path / "c") as saves, pytest.raises(InputError, match="c/1: .*of other settings"):
        saves.restore(state_at(0, width=4))


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "c", keep=2) as saves:
        saves.save(state_at(1), {})
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=1000))
        with pytest.raises(InputError, match=r"No space left on device: 1 MB are needed and 0 MB are free"):
            saves.save(state_at(2), {})
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["1"]


def test_of_what_threads_print_only_the_traces_of_a_failed_write_are_left_out(monkeypatch, caplog):
    """Orbax's tasks go through asyncio's logger, tensorstore's threads through the hook; others still come through."""
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: shown.append(str(found.exc_value)))
    hush.__wrapped__()
    for text in ("Task exception was never retrieved: orbax/serialization.py", "Task was destroyed: mine.py"):
        logging.getLogger("asyncio").error(text)
    for file in ("orbax/path/async_path.py", "mine.py"):
        try:
            exec(compile("raise OSError(28, 'No space')", file, "exec"))
        except OSError as error:
            logging.getLogger("asyncio").error("Future exception was never retrieved", exc_info=error)
    for text in ("Event loop is closed", "mine"):
        sys.unraisablehook(SimpleNamespace(exc_value=RuntimeError(text)))
    assert shown == ["mine"] and [record.message for record in caplog.records] == [
        "Task was destroyed: mine.py",
        "Future exception was never retrieved",
    ]
