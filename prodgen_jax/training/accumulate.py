"""Gradient accumulation: a batch that does not fit in memory is played in parts, and each turn still moves once.

It is a change of the method, not of the step: a turn's loss is replaced by one with the same value and the same
gradient that holds one part's activations at a time. Equal to the whole batch, up to float error, for every loss that
is a mean over examples; one that looks across a batch (batch statistics) sees a part, as it sees a share on a device.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from prodgen_jax.methods.core import Method, Turn


def after(done: PyTree, own: PyTree) -> PyTree:
    """A part as it is, to be begun when all that came before is done.

    Written out one after the other, parts need nothing of each other: XLA would start them together, and hold all that
    was to be held in turn. It may not simplify 0 * x (0 * inf is not 0).
    """
    late = 0 * sum(jnp.ravel(leaf)[0] for leaf in jax.tree.leaves(done))
    return jax.tree.map(lambda x: x + late if jnp.issubdtype(x.dtype, jnp.floating) else x, own)


def in_parts(turn: Turn, parts: int, unroll: bool) -> Turn:
    """The turn, with its loss taken part by part.

    Its value is L + <g, p - p'>, where p' is p held fixed and L, g are the mean loss and gradient over the parts: the
    second term is 0, and its gradient is g. So nothing of a part has to be kept for a backward pass.
    """

    def loss(params, extra, batch, keys, step):
        held = jax.lax.stop_gradient(params)

        def part(own: PyTree) -> tuple:
            def of(group: PyTree):
                return turn.loss({**held, turn.trains: group}, extra, *own, step)

            (value, aux), grad = jax.value_and_grad(of, has_aux=True)(held[turn.trains])
            return value, aux, grad

        def add(total: tuple, own: PyTree) -> tuple:
            return jax.tree.map(jnp.add, total, part(after(total, own))), None

        pieces = jax.tree.map(lambda x: x.reshape(parts, x.shape[0] // parts, *x.shape[1:]), (batch, keys))
        first, rest = (jax.tree.map(lambda x, where=where: x[where], pieces) for where in (0, slice(1, None)))
        total, _ = jax.lax.scan(add, part(first), rest, unroll=parts - 1 if unroll else 1)
        value, aux, grad = jax.tree.map(lambda x: x / parts, total)
        along = jax.tree.map(lambda g, p, q: jnp.sum(g * (p - q)), grad, params[turn.trains], held[turn.trains])
        return value + sum(jax.tree.leaves(along)), aux

    return replace(turn, loss=loss)


def accumulated(method: Method, parts: int, unroll: bool) -> Method:
    """The method that plays each device's share of a batch in so many equal parts; itself where that is one.

    unroll: without a loop in the compiled step, where kernel gradients in loops are slow (CPU).
    """
    if parts == 1:
        return method
    return replace(method, turns=tuple(in_parts(turn, parts, unroll) for turn in method.turns))
