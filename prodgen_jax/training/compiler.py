"""What XLA is told of the programs that this package compiles."""

from collections.abc import Callable
from functools import cache

import jax

ONCE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # on CPU, to compile soon
OPTIONS = {
    # XLA's library for fused operations takes over sums and convolutions too, which its own loops do faster: 1.1 to 1.2
    # times as many images/s in training without it on jax 0.10, and 1.3 to 1.4 times in sampling from a U-Net.
    # And XLA drops the barriers that `nets/layers.py` sets, unless it is told to leave that pass out.
    "cpu": {"xla_cpu_experimental_ynn_fusion_type": "", "xla_disable_hlo_passes": "cse_barrier_expander"},
}


@cache
def compiler_options(platform: str) -> dict:
    """What the compiler is told on this platform; nothing where its version does not know that option."""
    options = OPTIONS.get(platform, {})
    try:
        jax.jit(lambda: 0).lower().compile(options)
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def jitted(function: Callable, **how) -> Callable:
    """`jax.jit(function, **how)` with these options. For what is called from Python: it cannot be a part of another
    jitted function."""
    return jax.jit(function, compiler_options=compiler_options(jax.default_backend()), **how)
