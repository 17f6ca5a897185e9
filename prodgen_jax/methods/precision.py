"""In what numbers networks compute: the one door between a method's parameters and its networks.

Parameters, optimizers, averages and losses are float32 always. With precision=bf16 each layer of a network casts what
comes in and its own parameters to bfloat16 where it uses them, so gradients come back in float32; statistics of
normalization, times and positions stay float32. bfloat16 reaches as far as float32, so no loss is scaled.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from prodgen_jax.methods.spec import choose

PRECISIONS = {"fp32": jnp.float32, "bf16": jnp.bfloat16}


@dataclass(frozen=True)
class PrecisionSettings:
    """What `--set` reaches of every family."""

    precision: str = "fp32"  # what networks compute in: fp32, or bf16, which GPUs and TPUs are several times faster in


def opened(net: nnx.Module, precision: str = "fp32", call: str = "__call__") -> Callable:
    """params -> the network with those parameters, as a function (x, *said) -> answer.

    net:  its form; abstract will do, and its layers are told the precision.
    call: which of its methods answers.
    x:    a picture or vector, cast, or word numbers, which stay as what is said beside it (times, labels) does.
    answer: an array, or several, in float32.
    InputError on another precision than fp32 and bf16.
    """
    dtype = choose(PRECISIONS, precision, "precision")
    for _, module in nnx.iter_modules(net):
        if hasattr(module, "dtype"):
            module.dtype = dtype
    graph = nnx.graphdef(net)

    def bind(params) -> Callable:
        asked = getattr(nnx.merge(graph, params, copy=True), call)

        def answer(x, *said):
            x = x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x
            return jax.tree.map(lambda y: y.astype(jnp.float32), asked(x, *said))

        return answer

    return bind
