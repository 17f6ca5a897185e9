"""A trained network with less in it (D1): channels that say little, or weights that weigh little, taken out.

Whole channels make a smaller network of the usual kind, which is faster; single weights set to 0 make a smaller file,
and no faster network. Either loses quality that training goes on to win back: `prodgen train ... --from` the result.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, PyTree

from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import LORA, name_of, named
from prodgen_jax.methods.core import Params
from prodgen_jax.nets.blocks import GROUPS
from prodgen_jax.nets.unet import of_each_group
from prodgen_jax.training.run import Run, save_model

FIRST, MIDDLE, SECOND, FILM = "conv1.kernel", ("conv1.bias", "norm2.scale", "norm2.bias"), "conv2.kernel", "film."


def prune(run: Run, path: str | Path, *, channels: float = 0.0, weights: float = 0.0, numbers: str = "bf16") -> None:
    """The run's model as a file that `open_run` opens, with less in it.

    channels: the share that is taken out of the middle of each residual block of a U-Net. weights: the share of all
    kernels' numbers that are set to 0, the smallest ones; such zeros take a bit each in the file. InputError where a
    share is none, both are 0, or there is no such block.
    """
    for name, share in (("channels", channels), ("weights", weights)):
        if not 0 <= share < 1:
            raise InputError(f"{name}={share}: a share to take out, must be 0 or more and below 1")
    if not channels + weights > 0:
        raise InputError("channels=0 and weights=0: nothing is left out; say how much of which")
    if any(group.endswith(LORA) for group in run.params):
        raise InputError(f"{run.path}: has adapters, which go with the network as it was; prune before adapting")
    params, settings = dict(run.params), {}
    if channels:
        settings["inner"] = run.config["settings"].get("inner", 1.0) * (1 - channels)
        params = without_channels(run, params, settings["inner"])
    save_model(run, path, without_weights(params, weights) if weights else params, numbers, settings)


# --- channels -----------------------------------------------------------------------------------------------------


def without_channels(run: Run, params: Params, inner: float) -> Params:
    """Parameters of the network whose residual blocks keep that share of their middle's channels."""
    found = {group: thinned(tree, inner) for group, tree in params.items()}
    if all(tree is params[group] for group, tree in found.items()):
        raise InputError(
            f"channels: a {run.config['method']} like {run.path} has no U-Net whose blocks could lose some"
        )
    return found


def thinned(tree: PyTree, inner: float) -> PyTree:
    """A group of parameters with its residual blocks' middles thinned; the same object where there is none."""
    arrays = named(tree)
    blocks = [name.removesuffix(FIRST) for name in arrays if name.endswith(FIRST) and hidden(name, FIRST) in arrays]
    if not blocks:
        return tree
    kept = {block: kept_channels(arrays[block + FIRST], arrays[block + SECOND], inner) for block in blocks}

    def one(path: tuple, leaf: Array) -> Array:
        name = name_of(path)
        block = next((block for block in blocks if name.startswith(block)), None)
        return leaf if block is None else cut(name.removeprefix(block), leaf, kept[block])

    return jax.tree_util.tree_map_with_path(one, tree)


def hidden(name: str, ending: str) -> str:
    return name.removesuffix(ending) + "film.kernel"


def kept_channels(first: Float[Array, "k k i m"], second: Float[Array, "k k m o"], inner: float) -> Int[Array, "n"]:
    """The channels that matter most, as many of each group that is normalized together.

    By the norm of what makes a channel times the norm of what reads it, each alone as Li 2017 has it (by its L1 norm).
    """
    weight = np.linalg.norm(np.float32(first).reshape(-1, first.shape[-1]), axis=0)
    weight = weight * np.linalg.norm(np.float32(second).transpose(2, 0, 1, 3).reshape(second.shape[2], -1), axis=1)
    groups = weight.reshape(GROUPS, -1)
    n = of_each_group(second.shape[-1], inner)
    if n > groups.shape[1]:
        raise InputError(f"channels: a middle of {weight.size} channels cannot keep {n} of each of {GROUPS} groups")
    best = np.sort(np.argsort(-groups, axis=1, kind="stable")[:, :n], axis=1)
    return (best + groups.shape[1] * np.arange(GROUPS)[:, None]).reshape(-1)


def cut(name: str, leaf: Array, kept: Int[np.ndarray, "n"]) -> Array:
    """A residual block's parameter with those channels of its middle alone."""
    if name == FIRST or name in MIDDLE:
        return leaf[..., kept]
    if name == SECOND:
        return leaf[:, :, kept]
    if name.startswith(FILM):  # gains, then shifts
        return leaf[..., np.concatenate([kept, kept + leaf.shape[-1] // 2])]
    return leaf


# --- weights ------------------------------------------------------------------------------------------------------


def without_weights(params: Mapping[str, PyTree], share: float) -> Params:
    """The smallest numbers of all kernels set to 0, by one threshold (Han 2015), each beside its output's size.

    Beside it, because outputs differ in size by what follows them; one threshold on bare numbers empties some of them.
    """
    sizes = [np.ravel(relative(leaf)) for name, leaf in named(params).items() if is_kernel(name, leaf)]
    bar = np.quantile(np.concatenate(sizes), share)

    def one(path: tuple, leaf: Array) -> Array:
        return jnp.where(relative(leaf) <= bar, 0, leaf) if is_kernel(name_of(path), leaf) else leaf

    return jax.tree_util.tree_map_with_path(one, dict(params))


def is_kernel(name: str, leaf: Array) -> bool:
    return name.endswith("kernel") and leaf.ndim > 1


def relative(leaf: Array) -> Float[Array, "..."]:
    """A kernel's numbers by size, in units of the root mean square of their output (the last axis)."""
    spread = jnp.sqrt(jnp.mean(jnp.square(leaf), axis=tuple(range(leaf.ndim - 1))))
    return jnp.abs(leaf) / jnp.maximum(spread, 1e-12)
