"""How a denoiser's parameters are stepped: by Adam (Kingma 2015), or its hidden kernels by Muon (Jordan 2024).

Muon makes all singular values of a kernel's momentum alike before it steps along it, so that what few pictures ask for
is learned at the pace of what all of them ask for. What is no hidden kernel is then Adam's, by Nesterov's momentum
(Dozat 2016).
"""

from functools import partial

import jax
import optax
from jaxtyping import PyTree
from optax.contrib import MuonDimensionNumbers, muon

from prodgen_jax.methods.adapt import name_of

ENDS = ("entry.", "exit.")  # a network's first and last layer: not hidden
ADAM_LIKE = 0.2  # root mean square of Muon's steps in step sizes: Adam's, so that both share one. Liu 2025, section 2.2


def hidden_kernels(params: PyTree) -> PyTree:
    """For each hidden layer's kernel [... in out] which axes it sums over; None for all else, which is Adam's."""

    def axes(path, leaf):
        name = name_of(path)
        if leaf.ndim < 2 or not name.endswith("kernel") or name.startswith(ENDS):
            return None
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(axes, params)


def adam_of(rate: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    """Without decay plain Adam, whose state has no place for it: a checkpoint made before there was one still fits."""
    return (partial(optax.adamw, weight_decay=weight_decay) if weight_decay else optax.adam)(rate, b2=0.99)


def muon_of(rate: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    kernels = {"consistent_rms": ADAM_LIKE, "muon_weight_dimension_numbers": hidden_kernels}
    return muon(rate, weight_decay=weight_decay, adam_weight_decay=weight_decay, adam_b2=0.99, **kernels)


OPTIMIZERS = {"adam": adam_of, "muon": muon_of}  # (step size by step, decay per unit of step size) -> the optimizer
