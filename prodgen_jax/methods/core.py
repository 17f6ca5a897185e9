"""Training is a game of turns: what a method says about itself, and the one step that plays it.

A GAN is a game of two players, a VAE and a diffusion model are games of one. `train_step` is pure and written
once, for one device, with a named axis over which gradients are averaged; `training.parallel` decides how many
devices play. A new family is a new file in this folder and changes nothing here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int, Key, PyTree

AXIS = "data"  # the axis that a batch is split along
BAD_TURN = "bad_turn"  # beside a step's metrics: the first turn with a number that is not finite
PLACE = "place"  # in a batch, beside its pictures: int [b 2], which of the step's examples this is, and of how many
SOURCE = "source"  # among what `sample` is told: pictures to begin from
EXTRA = "extra"  # among the parameters that are sampled with: what is carried but not trained by gradient, if any
STREAM_STEP, STREAM_INIT = 0, 1  # what the run's one seed is folded with

Params = dict[str, PyTree]
Batch = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One player's move inside a step.

    trains: the one parameter group that it may change.
    loss:   (params, extra, batch, keys, step) -> (scalar, (extra, metrics)). `keys` holds one random key per
            example, so that what is drawn for an example does not depend on how many devices share the batch.
    every:  the turn is due at steps divisible by it: 5 for a WGAN-GP generator, 16 for lazy R1.
    span:   the first step at which it may be due, and the first at which it no longer is: a network that grows.
    """

    trains: str
    loss: Callable
    every: int = 1
    span: tuple[float, float] = (0, math.inf)


class Alarm(NamedTuple):
    """Said once while training: `metric` lies below `least` at a logged step later than `after`; what that means."""

    metric: str
    least: float
    after: int
    advice: str


@dataclass(frozen=True, eq=False)
class Method:
    """All that a family has to say about itself.

    init:       key -> ({group: params}, extra); `extra` is what is carried but not trained by gradient (a codebook);
                `sample` and `validate` find it among the parameters, as params[EXTRA].
    turns:      in order of play.
    optim:      {group: optax transformation}; a group left out is frozen.
    sample:     (params, keys [n], cond {attribute: int [n]}) -> images, float [n h w c] in [-1, 1].
    ema:        {group: step -> decay}; a group left out has no average.
    conditions: attributes that `sample` understands.
    validate:   (params, batch, keys [b]) -> {name: scalar}, one metric, the mean over the batch; lower is better.
                None where no loss says how good the pictures are (a GAN's does not).
    bits:       (params, batch, keys [b]) -> [b]: bits for each number of an 8-bit picture, at most what a code by this
                model would need, as the batch's labels tell it. None where it gives pictures no probability (a GAN).
    edit:       (params, keys [n], cond, kept, strength) -> images: `sample` that begins from pictures of which a part
                stays (`samplers.Kept`); strength: a number in (0, 1], 1 begins from noise alone. None: it cannot.
    style:      (params, keys [n], content [n h w c], styles [n k h w c], shares [n k], strength [n]) -> content that
                looks like a mix of styles, in as far as strength in [0, 1] says. None: it cannot.
    domains:    what its photos must be: an example is then one photo of each domain, batch["image"] [b d h w c], drawn
                apart; a domain is {attribute: value}. (): an example is any photo, [b h w c].
    source:     photos [n h w c] -> what is left of them, the pictures [n h w c] that `sample` finds as cond[SOURCE] and
                makes others of. None: it makes its pictures from noise.
    features:   (params, images [n h w c], keys [n]) -> [n d]: what a network of it makes of photos on the way to its
                answer, told nothing of them. None where no part of it looks at a photo alone.
    alarms:     what in the metrics of a step says that training has gone wrong, though every number is finite.
    """

    init: Callable
    turns: tuple[Turn, ...]
    optim: Mapping[str, optax.GradientTransformation]
    sample: Callable
    ema: Mapping[str, Callable] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    domains: tuple[Mapping[str, str], ...] = ()
    validate: Callable | None = None
    bits: Callable | None = None
    edit: Callable | None = None
    style: Callable | None = None
    source: Callable | None = None
    features: Callable | None = None
    alarms: tuple[Alarm, ...] = ()


class State(NamedTuple):
    """Everything that a step changes. `key` stays; each step folds its number into it."""

    step: Int[Array, ""]
    params: Params
    opt: Params
    ema: Params
    extra: PyTree
    key: Key[Array, ""]

    @property
    def averaged(self) -> Params:
        """The parameters to sample with: the average where there is one, and what else is carried."""
        return {**self.params, **self.ema, **({EXTRA: self.extra} if jax.tree.leaves(self.extra) else {})}


def init_state(method: Method, key: Key[Array, ""]) -> State:
    """A fresh state. The averages are copies: one that aliases the parameters would break buffer donation."""
    params, extra = method.init(jax.random.fold_in(key, STREAM_INIT))
    opt = {group: optimizer.init(params[group]) for group, optimizer in method.optim.items()}
    ema = {group: jax.tree.map(jnp.copy, params[group]) for group in method.ema}
    return State(jnp.zeros((), jnp.int32), params, opt, ema, extra, jax.random.fold_in(key, STREAM_STEP))


def due(method: Method, step: int) -> tuple[bool, ...]:
    """Which turns are played at this step."""
    return tuple(step % turn.every == 0 and turn.span[0] <= step < turn.span[1] for turn in method.turns)


def example_keys(key: Key[Array, ""], n: int) -> Key[Array, "n"]:
    """One key per example of this device's share (n of them): the same keys however the batch is shared out."""
    keys = jax.random.split(key, n * jax.lax.axis_size(AXIS))
    return jax.lax.dynamic_slice_in_dim(keys, jax.lax.axis_index(AXIS) * n, n)


def places(n: int) -> Int[Array, "n 2"]:
    """Of each example of this device's share: which of all of the step's examples it is, and how many these are."""
    shares = jax.lax.axis_size(AXIS)
    return jnp.stack([jax.lax.axis_index(AXIS) * n + jnp.arange(n), jnp.full(n, shares * n)], axis=-1)


def play(method: Method, turn: Turn, state: State, batch: Batch, keys: Key[Array, "b"]) -> tuple[State, dict]:
    """One turn: the gradient of its loss in its own group, averaged over devices, and its optimizer's update."""

    def loss(group: PyTree) -> tuple[Float[Array, ""], tuple]:
        return turn.loss({**state.params, turn.trains: group}, state.extra, batch, keys, state.step)

    group = state.params[turn.trains]
    (_, (extra, metrics)), grad = jax.value_and_grad(loss, has_aux=True)(group)
    grad, extra, metrics = jax.lax.pmean((grad, extra, metrics), AXIS)
    updates, opt = method.optim[turn.trains].update(grad, state.opt[turn.trains], group)
    state = state._replace(
        params={**state.params, turn.trains: optax.apply_updates(group, updates)},
        opt={**state.opt, turn.trains: opt},
        extra=extra,
    )
    return state, {**metrics, f"grad/{turn.trains}": optax.tree.norm(grad)}


def update_ema(method: Method, state: State) -> Params:
    """ema <- decay * ema + (1 - decay) * params, for each group that has an average."""

    def mix(decay: Float[Array, ""], old: PyTree, new: PyTree) -> PyTree:
        return jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), old, new)

    return {g: mix(decay(state.step), state.ema[g], state.params[g]) for g, decay in method.ema.items()}


def train_step(method: Method, due: tuple[bool, ...], state: State, batch: Batch) -> tuple[State, dict]:
    """Plays the turns that are due, in order, then moves the averages.

    batch: this device's share; its arrays have the examples on axis 0. Runs under the named axis `AXIS`.
    Returns the next state and the metrics, scalars averaged over all devices; among them `bad_turn`, the index of the
    first turn with a metric or a gradient that is not finite, or the number of turns.
    """
    n = jax.tree.leaves(batch)[0].shape[0]
    batch = {**batch, PLACE: places(n)}
    turn_keys = jax.random.split(jax.random.fold_in(state.key, state.step), len(method.turns))
    metrics: dict[str, Array] = {}
    bad = jnp.int32(len(method.turns))
    for i, (turn, is_due, key) in enumerate(zip(method.turns, due, turn_keys, strict=True)):
        if is_due:
            state, seen = play(method, turn, state, batch, example_keys(key, n))
            finite = jnp.isfinite(jnp.stack([jnp.float32(value) for value in seen.values()])).all()
            metrics, bad = metrics | seen, jnp.where(finite, bad, jnp.minimum(bad, i))
    state = state._replace(ema=update_ema(method, state), step=state.step + 1)
    return state, {**metrics, BAD_TURN: bad}


def power_ema(gamma: float = 6.94) -> Callable:
    """An average whose memory is a fixed share of the run so far, so that it needs no horizon.

    decay(t) = (1 - 1/(t + 1))^(gamma + 1); gamma 6.94 remembers about the last tenth.
    EDM2 (Karras 2024), eq. 2.
    """
    return lambda step: (1 - 1 / (step + 1.0)) ** (gamma + 1)
