"""Checkpoints through Orbax: everything that a run needs to go on, bit for bit.

A state is stored as flat `{path: array}`: parameters, optimizer, averages, extra, the random key's data and the
step, which is also the position in the data. Writing happens in the background; what a kill cuts short is ignored.
Each checkpoint carries a digest of all its numbers, so that a byte that flipped on disk is found when it is read.
"""

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from textwrap import shorten

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax import Array

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import State
from prodgen_jax.progress import tell

FULL = "No space left on device"
ROOM = 1.1  # bytes on disk for each byte of a state, and
SPARE = 1 << 20  # bytes beside them: what a checkpoint's folders and its description take


@cache
def hush() -> None:
    """A write that fails is raised and told in one line; its threads print it too, once per array: that is left out."""
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    whole = logging.Formatter().format  # with the traceback, which may be all that says whose it is
    logging.getLogger("asyncio").addFilter(lambda record: "orbax" not in whole(record))
    shown = sys.unraisablehook
    sys.unraisablehook = lambda found: None if str(found.exc_value) == "Event loop is closed" else shown(found)


def flatten(state: State) -> dict[str, Array]:
    """{path: array}; the typed key becomes its data."""
    plain = state._replace(key=jax.random.key_data(state.key))
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(plain)[0]}


def unflatten(flat: dict[str, Array], like: State) -> State:
    """The inverse of `flatten`; `like` gives the structure."""
    plain = like._replace(key=jax.random.key_data(like.key))
    paths, tree = jax.tree_util.tree_flatten_with_path(plain)
    state = jax.tree_util.tree_unflatten(tree, [jnp.asarray(flat[jax.tree_util.keystr(p)]) for p, _ in paths])
    return state._replace(key=jax.random.wrap_key_data(state.key))


def digest(flat: dict[str, Array], meta: dict) -> str:
    """SHA-256 of every name, type, shape and number, and of what stands beside them."""
    found = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in sorted(jax.device_get(flat).items()):
        found.update(f"{name}{array.dtype}{np.shape(array)}".encode() + np.asarray(array).tobytes())
    return found.hexdigest()


def reason(error: Exception) -> str:
    """The part of Orbax's and tensorstore's long messages that says what happened."""
    line = (str(error).splitlines() or [type(error).__name__])[0].split(" See full TensorStore details")[0]
    line = shorten(line, 200, placeholder=" ...")
    return FULL if FULL in str(error) and not line.startswith(FULL) else line


class Checkpoints:
    """The folder `checkpoints/<step>/` of a run. `with Checkpoints(folder, keep=2) as saves: ...`

    keep: how many of the newest stay; 0 opens the folder for reading alone.
    hold: a context in which nothing interrupts the main thread, for the moment in which a write is begun.
    """

    def __init__(self, folder: Path, keep: int = 0, hold: Callable[[], AbstractContextManager] = nullcontext):
        hush()
        self.folder, self.hold = Path(folder).absolute(), hold
        me = jax.process_index()  # Orbax waits for no other process: who of several opens the folder decides `fit`
        if keep:
            self.folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep or None,
            create=False,
            multiprocessing_options=ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}),
            cleanup_tmp_directories=keep > 0,
            lightweight_initialize=True,  # a damaged folder must not fail before it is its turn to be read
        )
        self.manager = ocp.CheckpointManager(self.folder, options=options, item_names=("state", "meta"))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            with self._told():
                self.manager.close()
        except InputError:
            if kind is None:  # else what went wrong first is what must be told
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """InputError in place of whatever Orbax raises when a write fails, here or in the background."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{self.folder}: a checkpoint could not be written ({reason(error)}); those before it are whole: "
                "mend that and go on with --resume"
            ) from error

    def latest(self) -> int | None:
        """The newest finished checkpoint's step, None if there is none."""
        return self.manager.latest_step()

    def save(self, state: State, meta: dict) -> None:
        """Starts to write the state (one device's copy) under its step; a step that is there already stays.

        InputError if this write, or the one before it, cannot be finished.
        """
        step = int(state.step)
        if step == self.latest():
            return
        for other in [s for s in self.manager.all_steps() if s > step]:  # of a course that was not taken again
            self.manager.delete(other)
        flat = jax.device_get(flatten(state))  # of several processes Orbax takes no other arrays from one alone
        items = {
            "state": ocp.args.StandardSave(flat),
            "meta": ocp.args.JsonSave({**meta, "sha256": digest(flat, meta)}),
        }
        with self.hold(), self._told():
            self.manager.wait_until_finished()
            self._ask_for_room(sum(array.nbytes for array in flat.values()))
            self.manager.save(step, args=ocp.args.Composite(**items))

    def _ask_for_room(self, size: int) -> None:
        """OSError where a state of `size` bytes does not fit: half a checkpoint on a full disk helps nobody."""
        self.folder.mkdir(parents=True, exist_ok=True)  # Orbax makes it in the background, later than this is asked
        needed, free = int(ROOM * size) + SPARE, shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(f"{FULL}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")

    def restore(self, like: State, mend: bool = False) -> tuple[State, dict]:
        """(state, meta) of the newest checkpoint that is whole, and a line on stderr for each newer one that is not.

        mend: damaged ones are renamed to `<step>.damaged`, so that their steps can be saved anew.
        InputError if there is none, or none can be read.
        """
        refused: dict[int, Exception] = {}
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                found = self.read(step, like)
            except Exception as error:  # a damaged file comes as almost anything, a bare Exception among them
                refused[step] = error
                continue
            for bad, error in refused.items():
                tell(f"{self.folder / str(bad)}: damaged ({reason(error)}); the checkpoint before it, {step}, is used")
            if mend:
                self._set_aside(refused)
            return found
        if not refused:
            raise InputError(f"{self.folder}: no finished checkpoint; train the run first")
        step, error = next(iter(refused.items()))
        raise InputError(
            f"{self.folder / str(step)}: this checkpoint cannot be read (damaged, or of other settings), and there is "
            f"none before it that can; remove the run and train anew. {reason(error)}"
        ) from error

    def read(self, step: int, like: State) -> tuple[State, dict]:
        """(state, meta) of one checkpoint, whole and checked against its digest; else almost any exception."""
        wanted = {name: np.broadcast_to(np.zeros((), x.dtype), x.shape) for name, x in flatten(like).items()}
        items = {"state": ocp.args.StandardRestore(wanted), "meta": ocp.args.JsonRestore()}
        found = self.manager.restore(step, args=ocp.args.Composite(**items))
        for name, array in found["state"].items():
            if array.shape != wanted[name].shape:
                raise ValueError(f"{name} is {array.shape} there and {wanted[name].shape} here")
        meta = dict(found["meta"])
        said = meta.pop("sha256", None)  # checkpoints of versions before this one have none
        if said is not None and said != digest(found["state"], meta):
            raise ValueError("its numbers are not those that were saved")
        return unflatten(found["state"], like), meta

    def _set_aside(self, steps: dict[int, Exception]) -> None:
        for step in steps:
            place = self.folder / f"{step}.damaged"
            shutil.rmtree(place, ignore_errors=True)
            (self.folder / str(step)).rename(place)
        self.manager.reload()
