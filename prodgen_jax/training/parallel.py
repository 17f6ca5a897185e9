"""The same step on one device or on many: the only file that names `pmap`.

Arrays here have the devices on axis 0: the state and a resident split are copied to each, indices are shared out.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, PyTree

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import AXIS, Method, State, due, example_keys, train_step

STREAM_BATCH = 1_000_003  # folded into the step's key for what happens to a batch before the first turn


def pick_devices(count: int | None) -> tuple[jax.Device, ...]:
    """The first `count` local devices, all if None. InputError if there are fewer."""
    local = jax.local_devices()
    if count is not None and not 1 <= count <= len(local):
        raise InputError(f"devices={count}: this machine has {len(local)} ({local[0].platform})")
    return tuple(local[:count])


def replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    """A copy on each device, along a new axis 0."""
    copy = jax.pmap(lambda _, x: x, in_axes=(0, None), devices=devices)
    return copy(jnp.arange(len(devices)), tree)


def first(tree: PyTree) -> PyTree:
    """The first device's copy, without the device axis."""
    return jax.tree.map(lambda x: x[0], tree)


def share(x: np.ndarray, devices: int) -> np.ndarray:
    """[k b ...] -> [devices k b/devices ...]: each device's share of every batch."""
    k, b = x.shape[:2]
    return np.moveaxis(x.reshape(k, devices, b // devices, *x.shape[2:]), 1, 0)


def period(method: Method) -> int:
    """The number of steps after which the same turns are due again."""
    return math.lcm(*(turn.every for turn in method.turns))


def steps(
    method: Method,
    make_batch: Callable,
    dues: tuple,
    shared: bool,
    state: State,
    source: dict,
    indices: Int[Array, "k b"],
) -> tuple[State, dict]:
    """Plays k steps on one device's share; `dues` holds what is due in each step of one period (or of all k).

    Several steps become one dispatch through `scan` over whole periods. On CPU k is 1 and nothing is scanned: XLA's
    convolution gradients are 40 to 60 times slower inside a loop there.
    """

    def one(state: State, dues_now: tuple, source: dict, rows: Int[Array, "b"]) -> tuple[State, dict]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), STREAM_BATCH)
        batch = make_batch(source, rows, example_keys(key, rows.shape[0]))
        return train_step(method, dues_now, state, batch)

    def one_period(state: State, inputs: tuple) -> tuple[State, dict]:
        metrics: dict = {}
        for i, dues_now in enumerate(dues):
            own, rows = jax.tree.map(lambda x, i=i: x[i], inputs)
            state, seen = one(state, dues_now, source if shared else own, rows)
            metrics |= seen
        return state, metrics

    inputs = (None if shared else source, indices)
    periods = indices.shape[0] // len(dues)
    if periods == 1:
        return one_period(state, inputs)
    inputs = jax.tree.map(lambda x: x.reshape(periods, len(dues), *x.shape[1:]), inputs)
    state, metrics = jax.lax.scan(one_period, state, inputs)
    return state, jax.tree.map(lambda x: x[-1], metrics)


def compile_steps(method: Method, make_batch: Callable, devices: Sequence[jax.Device], shared: bool) -> Callable:
    """(step, state, source, indices) -> (state, metrics), in parallel over devices; the given state is consumed.

    step: the first step's number, a Python int: it decides which turns are due.
    """
    play = partial(steps, method, make_batch)
    parallel = jax.pmap(
        lambda dues, state, source, indices: play(dues, shared, state, source, indices),
        axis_name=AXIS,
        devices=devices,
        static_broadcasted_argnums=0,
        donate_argnums=1,
    )

    def run(step: int, state: State, source: dict, indices: Int[np.ndarray, "devices k b"]) -> tuple[State, dict]:
        k, p = indices.shape[1], period(method)
        dues = tuple(due(method, step + i) for i in range(p if k % p == 0 else k))
        return parallel(dues, state, source, indices)

    return run
