"""The same step on one device or on many: the only file that names `pmap` and `shard_map`.

Two ways to the same result: `pmap`, and `shard_map` over a mesh of one axis. Arrays here have the devices on axis 0:
the state and a resident split are copied to each, indices are shared out. With several processes the devices are
those of all, and each process hands in the part of its own.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int, PyTree

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import AXIS, BAD_TURN, Method, State, due, example_keys, train_step
from prodgen_jax.nets.layers import settled
from prodgen_jax.training.compiler import compiler_options

NEVER = 2**31 - 1  # the place of a bad step where there was none
STREAM_BATCH = 1_000_003  # folded into the step's key for what happens to a batch before the first turn


def pick_devices(count: int | None) -> tuple[jax.Device, ...]:
    """The first `count` devices of each process, all if None, process by process. InputError if there are fewer."""
    found = [jax.local_devices(process) for process in range(jax.process_count())]
    local = jax.local_devices()
    if count is not None and not 1 <= count <= len(local):
        raise InputError(f"devices={count}: this machine has {len(local)} ({local[0].platform})")
    if len({len(devices) for devices in found}) > 1:
        raise InputError(f"each process must see as many devices as the others, not {[len(d) for d in found]}")
    return tuple(device for devices in found for device in devices[:count])


def here(devices: Sequence[jax.Device]) -> list[jax.Device]:
    """Those that belong to this process."""
    return [device for device in devices if device.process_index == jax.process_index()]


class Way(NamedTuple):
    """replicate: (tree, devices) -> a copy on each device, along a new axis 0.

    compile: (play, devices) -> (dues, state, source, indices) -> (state, metrics), `play` being one device's part of
    it, with the axis `AXIS` over them; `dues` is static and the given state is consumed.
    """

    replicate: Callable
    compile: Callable


def pmap_replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    copy = jax.pmap(lambda _, x: x, in_axes=(0, None), devices=devices)
    return copy(jnp.arange(len(here(devices))), tree)


def pmap_compile(play: Callable, devices: Sequence[jax.Device]) -> Callable:
    mapped = jax.pmap(play, axis_name=AXIS, devices=devices, static_broadcasted_argnums=0, donate_argnums=1)
    if jax.process_count() > 1:
        return mapped  # compiled ahead, it would not know that other processes hold the other parts
    return ahead(mapped, devices)


def spread(devices: Sequence[jax.Device], *axes: str) -> NamedSharding:
    """How an array lies on these devices: its axis 0 shared out along `AXIS`, or whole on each."""
    return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(*axes))


def shard_map_replicate(tree: PyTree, devices: Sequence[jax.Device]) -> PyTree:
    def copy(x: Array) -> Array:
        copies = [jax.device_put(x[None], device) for device in here(devices)]
        return jax.make_array_from_single_device_arrays((len(devices), *x.shape), spread(devices, AXIS), copies)

    return jax.tree.map(copy, tree)


def shard_mapped(play: Callable, devices: Sequence[jax.Device]) -> Callable:
    """The jitted function of (dues, state, source, indices), not compiled yet."""
    lies = spread(devices, AXIS)

    def run(dues: tuple, *trees: PyTree) -> PyTree:
        def one(*own: PyTree) -> PyTree:
            out = play(dues, *jax.tree.map(lambda x: x[0], own))
            return jax.tree.map(lambda x: x[None], out)

        return jax.shard_map(one, mesh=lies.mesh, in_specs=lies.spec, out_specs=lies.spec, check_vma=False)(*trees)

    return jax.jit(run, static_argnums=0, donate_argnums=1, in_shardings=lies, out_shardings=lies)


def shard_map_compile(play: Callable, devices: Sequence[jax.Device]) -> Callable:
    return ahead(shard_mapped(play, devices), devices)


def ahead(parallel: Callable, devices: Sequence[jax.Device]) -> Callable:
    """`parallel`, compiled when it is first called with other turns or another number of steps, then called directly.

    What pmap itself does in front of every call costs 5 ms where a state has 300 arrays; this costs 0.4.
    """
    lies, known = spread(devices, AXIS), {}
    options = compiler_options(devices[0].platform)

    def place(x: Array | np.ndarray) -> Array:
        return x if isinstance(x, Array) else jax.make_array_from_process_local_data(lies, x)

    def call(dues: tuple, state: State, source: dict, indices: Int[np.ndarray, "devices k b"]) -> tuple:
        source, indices = jax.tree.map(place, (source, indices))
        if (found := known.get((dues, indices.shape))) is None:
            found = parallel.lower(dues, state, source, indices).compile(options)
            known[dues, indices.shape] = found
        return found(state, source, indices)

    return call


WAYS = {"pmap": Way(pmap_replicate, pmap_compile), "shard_map": Way(shard_map_replicate, shard_map_compile)}


def first(tree: PyTree) -> PyTree:
    """The copy of this process's first device, without the device axis. No other device has a part in it."""
    return jax.tree.map(lambda x: x.addressable_data(0)[0], tree)


def host_rows(batch: int, hosts: int, host: int) -> slice:
    """The rows of every batch that one process reads."""
    return slice(batch // hosts * host, batch // hosts * (host + 1))


def share(x: np.ndarray, devices: int) -> np.ndarray:
    """[k b ...] -> [devices k b/devices ...]: each device's share of every batch."""
    k, b = x.shape[:2]
    return np.moveaxis(x.reshape(k, devices, b // devices, *x.shape[2:]), 1, 0)


def period(method: Method) -> int:
    """The number of steps after which the same turns are due again, where no turn's span begins or ends."""
    return math.lcm(*(turn.every for turn in method.turns))


def refuse(bad: Int[Array, ""], before: State, after: State) -> State:
    """The state after a step, or where a turn went bad the state before it, one step on: the step is skipped."""
    trained = ("params", "opt", "ema", "extra")
    return after._replace(
        **{
            name: jax.tree.map(lambda old, new: jnp.where(bad, old, new), getattr(before, name), getattr(after, name))
            for name in trained
        }
    )


def steps(
    method: Method,
    make_batch: Callable,
    skip: bool,
    shared: bool,
    dues: tuple,
    state: State,
    source: dict,
    indices: Int[Array, "k b"],
) -> tuple[State, dict, Int[Array, ""]]:
    """Plays k steps on one device's share; `dues` holds what is due in each step of one period (or of all k).

    skip: a step with a number that is not finite leaves the state as it was. Returned beside state and metrics: the
    first such step and turn, as step * turns + turn, or NEVER.

    Several steps become one dispatch through `scan` over whole periods. On CPU k is 1 and nothing is scanned: XLA's
    convolution gradients are 40 to 60 times slower inside a loop there. The state is settled at both ends: XLA there
    overwrites donated arrays in place only if what reads and writes them does not also drop the axis of the devices.
    """
    state = settled(state)

    def one(state: State, dues_now: tuple, source: dict, rows: Int[Array, "b"]) -> tuple[State, dict, Array]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), STREAM_BATCH)
        batch = make_batch(source, rows, example_keys(key, rows.shape[0]))
        after, metrics = train_step(method, dues_now, state, batch)
        turn, turns = metrics.pop(BAD_TURN), len(method.turns)
        bad = turn < turns
        place = jnp.where(bad, state.step * turns + turn, NEVER)
        return refuse(bad, state, after) if skip else after, metrics, place

    def one_period(state: State, inputs: tuple) -> tuple[State, tuple]:
        metrics, place = {}, jnp.int32(NEVER)
        for i, dues_now in enumerate(dues):
            own, rows = jax.tree.map(lambda x, i=i: x[i], inputs)
            state, seen, found = one(state, dues_now, source if shared else own, rows)
            metrics, place = metrics | seen, jnp.minimum(place, found)
        return state, (metrics, place)

    inputs = (None if shared else source, indices)
    periods = indices.shape[0] // len(dues)
    if periods == 1:
        state, (metrics, place) = one_period(state, inputs)
        return settled(state), metrics, place
    inputs = jax.tree.map(lambda x: x.reshape(periods, len(dues), *x.shape[1:]), inputs)
    state, (metrics, places) = jax.lax.scan(one_period, state, inputs)
    return settled(state), jax.tree.map(lambda x: x[-1], metrics), places.min()


def compile_steps(
    method: Method, make_batch: Callable, devices: Sequence[jax.Device], shared: bool, way: Way, skip: bool
) -> Callable:
    """(step, state, source, indices) -> what `steps` gives, in parallel over devices; the given state is consumed.

    step: the first step's number, a Python int: it decides which turns are due.
    """
    parallel = way.compile(partial(steps, method, make_batch, skip, shared), devices)

    def run(step: int, state: State, source: dict, indices: Int[np.ndarray, "devices k b"]) -> tuple:
        k, p = indices.shape[1], period(method)
        dues = tuple(due(method, step + i) for i in range(k))
        repeats = k % p == 0 and dues == dues[:p] * (k // p)
        return parallel(dues[:p] if repeats else dues, state, source, indices)

    return run
