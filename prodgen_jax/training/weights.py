"""A trained model in one file: its averaged parameters as safetensors, and in the header all that builds it again.

Nothing in such a file is code: it is read as numbers and literals alone.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.core import Params
from prodgen_jax.methods.precision import PRECISIONS

SUFFIX = ".safetensors"
SHIPPED = Path(__file__).parents[1] / "pretrained"  # the folder of the models that come with the package
PREFIX = "pretrained:"  # before the name of one of them
NUMBERS = {name: jnp.dtype(number) for name, number in PRECISIONS.items()} | {"int8": jnp.dtype(jnp.int8)}
SCALE = ".int8-scale"  # ends the name of what an array's whole numbers are multiplied by
BITS, SHAPE = ".nonzero-bits", ".shape"  # end the names of what says where an array's numbers stand that are not 0
WORTH = 0.25  # share of zeros from which on they are left out
MANY = 1024  # numbers that an array has at least that is kept in int8; smaller ones stay in bf16


def shipped(name: str) -> Path:
    """The file of a model that comes with the package. InputError lists those that do."""
    path = SHIPPED / f"{name}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SHIPPED.glob(f"*{SUFFIX}"))) or "none"
        raise InputError(f"{PREFIX}{name}: not a model that comes with the package; it has {known}")
    return path


def save_weights(path: str | Path, params: Params, facts: Mapping, numbers: str = "bf16") -> None:
    """Parameters in `numbers` (fp32, bf16 or int8) and `facts`, literals, as one file, whole or not at all."""
    from safetensors.numpy import save

    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: name the file *{SUFFIX}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.partial")
    arrays = {}
    for name, leaf in named(params).items():
        for key, array in packed(name, np.asarray(leaf), numbers).items():
            arrays |= thin(key, array)
    part.write_bytes(save(arrays, metadata={"run": json.dumps(facts)}))  # save_file leaves it closed to all others
    part.replace(path)


def packed(name: str, array: np.ndarray, numbers: str) -> dict[str, np.ndarray]:
    """An array as it is saved. In int8 a kernel is w ~ q * s: whole numbers q from -127 to 127, and a scale s of fp32
    for each of its outputs (its last axis), so that the largest weight of each output is 127."""
    if numbers != "int8":
        return {name: array.astype(NUMBERS[numbers])}
    if array.ndim < 2 or array.size < MANY:
        return {name: array.astype(NUMBERS["bf16"])}
    array = array.astype(np.float32)
    scale = np.abs(array).max(axis=tuple(range(array.ndim - 1))) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return {name: np.round(array / scale).astype(np.int8), f"{name}{SCALE}": scale}


def unpacked(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that were `packed`, with their scales applied. ValueError where a scale does not fit."""
    found = thick(found)
    arrays = {name: array for name, array in found.items() if not name.endswith(SCALE)}
    for name in found.keys() - arrays.keys():
        of = name.removesuffix(SCALE)
        if of not in arrays or found[name].shape != arrays[of].shape[-1:]:
            raise ValueError(f"{name} fits no array")
        arrays[of] = arrays[of].astype(np.float32) * found[name]
    return arrays


def thin(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """An array as it is saved where many of its numbers are 0: the others, and a bit for each that says which."""
    there = np.asarray(array != 0)
    if array.ndim < 2 or array.size < MANY or there.mean() > 1 - WORTH:
        return {name: array}
    shape = np.array(array.shape, np.int32)
    return {name: array[there], f"{name}{BITS}": np.packbits(there), f"{name}{SHAPE}": shape}


def thick(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that were made `thin`, whole again. ValueError where bits and numbers do not fit."""
    arrays = {name: array for name, array in found.items() if not name.endswith((BITS, SHAPE))}
    for name in (key.removesuffix(SHAPE) for key in found if key.endswith(SHAPE)):
        shape = tuple(found[f"{name}{SHAPE}"])
        there = np.unpackbits(found[f"{name}{BITS}"], count=math.prod(shape)).astype(bool)
        whole = np.zeros(math.prod(shape), arrays[name].dtype)
        whole[there] = arrays[name]
        arrays[name] = whole.reshape(shape)
    return arrays


def hash_weights(weights: Mapping[str, np.ndarray]) -> str:
    """sha256 over names, shapes, types and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_facts(path: Path) -> dict:
    """What was saved beside the parameters. InputError if the file is none of `save_weights`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return json.loads(file.metadata()["run"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a model made by 'prodgen export' ({error})") from error


def read_params(path: Path, like: Params) -> Params:
    """The parameters, in the types of `like`. InputError where they are not of its shapes, or damaged."""
    from safetensors import SafetensorError, safe_open

    wanted = named(like)
    try:
        with safe_open(path, "np") as file:
            found = unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path}: damaged ({error})") from error
    for name in wanted.keys() | found.keys():
        shapes = [None if name not in table else tuple(table[name].shape) for table in (wanted, found)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{path}: {name} is {shapes[1]}, this version of the package builds {shapes[0]}")
    tree = jax.tree_util.tree_structure(like)
    return jax.tree_util.tree_unflatten(tree, [jnp.asarray(found[n], leaf.dtype) for n, leaf in wanted.items()])
