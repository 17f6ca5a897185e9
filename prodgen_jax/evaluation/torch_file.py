"""Arrays from a file that `torch.save` wrote in its old format (before 1.6), without torch, and without running it.

Such a file is five pickles and then the numbers. A pickle is a program; here its instructions are read as data: what
it would call is noted and not called, so that nothing but lists, dictionaries and arrays can come of it.
"""

import pickletools
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from prodgen_jax.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C  # the first of the five
TYPES = {"torch FloatStorage": "<f4", "torch DoubleStorage": "<f8", "torch LongStorage": "<i8"}
DICTIONARY, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"


class Call(NamedTuple):
    """What a pickle would have called, and with what."""

    name: str
    values: tuple


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    """{name: array} of a state dictionary. InputError where the file is not one, or not in the old format."""
    try:
        with Path(path).open("rb") as file:
            if plain(file) != MAGIC:
                raise ValueError("another magic number")
            _, _, tensors, keys = (plain(file) for _ in range(4))
            kinds = {call.values[0][2]: TYPES[call.values[0][1]] for call in tensors.values()}
            storages = {key: storage(file, kinds[key]) for key in keys}
            return {name: tensor(call, storages) for name, call in tensors.items()}
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, EOFError) as error:
        raise InputError(f"{path}: not the weights of a network in torch's old file format ({error!r})") from error


def storage(file: BinaryIO, kind: str) -> np.ndarray:
    """The next numbers of a file: how many, and themselves."""
    count = int(np.frombuffer(file.read(8), "<i8")[0])
    found = np.frombuffer(file.read(count * np.dtype(kind).itemsize), kind)
    if len(found) != count:
        raise EOFError("cut short")
    return found


def tensor(call: Call, storages: dict[str, np.ndarray]) -> np.ndarray:
    """An array from the numbers that it stands in."""
    if call.name != TENSOR:
        raise ValueError(f"holds a {call.name}")
    (_, _, key, *_), offset, shape, strides, *_ = call.values
    if strides != tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape))):
        raise ValueError("an array that is not laid out row by row")
    return storages[key][offset : offset + int(np.prod(shape))].reshape(shape)


def plain(file: BinaryIO) -> Any:
    """The next pickle of a file as plain data: nothing in it is imported or called. ValueError for the unforeseen."""
    stack: list = []
    marks: list[int] = []
    memo: dict = {}

    def marked() -> list:
        place = marks.pop()
        found = stack[place:]
        del stack[place:]
        return found

    for code, value, _ in pickletools.genops(file):
        match code.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[code.name])
            case "GLOBAL" | "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(value)
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[code.name])
            case "TUPLE":
                stack.append(tuple(marked()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(code.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPENDS":
                found = marked()
                stack[-1].extend(found)
            case "SETITEM":
                *_, target, key, item = stack
                target[key] = item
                del stack[-2:]
            case "SETITEMS":
                found = marked()
                stack[-1].update(zip(found[::2], found[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "BINPERSID":
                pass  # what names a storage is kept as it is
            case "REDUCE":
                name, values = stack[-2:]
                stack[-2:] = [{} if name == DICTIONARY else Call(name, values)]
            case "BUILD":
                stack.pop()  # what an object would remember of itself
            case other:
                raise ValueError(f"a pickle with {other}")
    raise EOFError("cut short")
