"""Checkpoints through Orbax: everything that a run needs to go on, bit for bit.

A state is stored as flat `{path: array}`: parameters, optimizer, averages, extra, the random key's data and the
step, which is also the position in the data. Writing happens in the background; what a kill cuts short is ignored.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax import Array

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import State


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


class Checkpoints:
    """The folder `checkpoints/<step>/` of a run. `with Checkpoints(folder, keep=2) as saves: ...`"""

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = Path(folder).absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=True)
        self.manager = ocp.CheckpointManager(self.folder, options=options, item_names=("state", "meta"))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.manager.close()

    def latest(self) -> int | None:
        """The newest finished checkpoint's step, None if there is none."""
        return self.manager.latest_step()

    def save(self, state: State, meta: dict) -> None:
        """Starts to write the state (one device's copy) under its step; a step that is there already stays."""
        step = int(state.step)
        if step == self.latest():
            return
        items = {"state": ocp.args.StandardSave(flatten(state)), "meta": ocp.args.JsonSave(meta)}
        self.manager.save(step, args=ocp.args.Composite(**items))

    def restore(self, like: State) -> tuple[State, dict]:
        """(state, meta) of the newest checkpoint. InputError names it if it is missing, damaged or of another shape."""
        step = self.latest()
        if step is None:
            raise InputError(f"{self.folder}: no finished checkpoint; train the run first")
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), flatten(like))
        items = {"state": ocp.args.StandardRestore(abstract), "meta": ocp.args.JsonRestore()}
        try:
            found = self.manager.restore(step, args=ocp.args.Composite(**items))
            return unflatten(found["state"], like), found["meta"]
        except Exception as error:  # a damaged file comes as almost anything, a bare Exception from Orbax among them
            why = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InputError(
                f"{self.folder / str(step)}: this checkpoint cannot be read (damaged, or of other settings); "
                f"remove that folder to go on from the one before. {why}"
            ) from error
