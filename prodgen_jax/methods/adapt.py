"""A method that begins from trained parameters and changes few of them: parts that stay, and low-rank adapters.

Both wrap a finished method and leave it as it is. An adapter (LoRA, Hu 2021) learns W + A B in the place of a kernel
W that stays: A has few columns, so that a network is adapted by a few percent of its numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Params

LORA = "_lora"  # after a group's name: its adapters
STREAM = 11  # what the key of the first parameters is folded with for the adapters'


@dataclass(frozen=True)
class AdaptSettings:
    """What `--set` reaches of how much of a network is trained; meant for `--from`, which begins from another run."""

    adapt: str = "all"  # all: every parameter; lora: matrices of low rank beside the kernels, which stay; sparse: all
    # but numbers in kernels that are 0, as `prodgen prune --weights` leaves them
    rank: int = 3  # of those matrices; 3 is under a twentieth of the usual U-Net's parameters
    freeze: tuple[str, ...] = ()  # parts of the network that stay, by how their names begin: embedding, down.0


def name_of(path: tuple) -> str:
    """A parameter's place as words: `down.0.0.conv1.kernel`."""
    words = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
    return ".".join(words[:-1] if words[-1] == "value" else words)


def named(tree) -> dict[str, Array]:
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def adapted(method: Method, s: AdaptSettings) -> Method:
    """`method` with less to train. InputError where a setting names no part of it."""
    if s.adapt not in ("all", "lora", "sparse"):
        raise InputError(f"adapt={s.adapt} is not known; choose all, lora or sparse")
    if s.rank < 1:
        raise InputError(f"rank={s.rank}: must be 1 or more")
    if s.freeze and s.adapt == "lora":
        raise InputError("freeze: with adapt=lora every kernel stays already; leave one of the two out")
    if s.adapt == "sparse":
        method = replace(method, optim={g: optax.chain(how, zeros_stay()) for g, how in method.optim.items()})
    if s.freeze:
        return frozen(method, s.freeze)
    return with_lora(method, s.rank) if s.adapt == "lora" else method


# --- parts that stay ----------------------------------------------------------------------------------------------


def frozen(method: Method, parts: tuple[str, ...]) -> Method:
    """`method` with parameters whose names begin with one of `parts` left as they are."""
    params, _ = jax.eval_shape(method.init, jax.random.key(0))
    names = {group: list(named(params[group])) for group in method.optim}

    def stays(name: str) -> bool:
        return any(name == part or name.startswith(f"{part}.") for part in parts)

    for part in parts:
        if not any(name == part or name.startswith(f"{part}.") for some in names.values() for name in some):
            known = sorted({name.split(".")[0] for some in names.values() for name in some})
            raise InputError(
                f"freeze={part}: no parameter's name begins so; the network's parts are {', '.join(known)}"
            )
    if all(stays(name) for some in names.values() for name in some):
        raise InputError(f"freeze={','.join(parts)}: nothing is left to train")

    def mask(tree):
        return jax.tree_util.tree_map_with_path(lambda path, _: stays(name_of(path)), tree)

    still = {g: optax.chain(how, optax.masked(optax.set_to_zero(), mask)) for g, how in method.optim.items()}
    return replace(method, optim=still)


def zeros_stay() -> optax.GradientTransformation:
    """Updates of kernels' numbers that are 0 are 0, so that what was pruned stays so, with no mask to carry along."""

    def update(updates, state, params):
        return jax.tree.map(lambda u, p: jnp.where(p == 0, 0, u) if p.ndim > 1 else u, updates, params), state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


# --- adapters -----------------------------------------------------------------------------------------------------


def fits(name: str, leaf: Array, rank: int) -> bool:
    """Whether a parameter is a kernel that an adapter of that rank is smaller than."""
    rows = int(np.prod(leaf.shape[:-1])) if leaf.ndim > 1 else 0
    return name.endswith("kernel") and rank * (rows + leaf.shape[-1]) < rows * leaf.shape[-1]


def first_adapters(key: Array, group, rank: int) -> dict[str, dict[str, Array]]:
    """{kernel's name: {"a": [rows rank], "b": [rank columns]}}; b is 0, so that nothing changes at first."""
    chosen = {name: leaf for name, leaf in named(group).items() if fits(name, leaf, rank)}
    made = {}
    for name, own in zip(chosen, jax.random.split(key, max(len(chosen), 1)), strict=False):
        rows, columns = int(np.prod(chosen[name].shape[:-1])), chosen[name].shape[-1]
        made[name] = {"a": jax.random.normal(own, (rows, rank)) / np.sqrt(rows), "b": jnp.zeros((rank, columns))}
    return made


def add(group, adapters: dict[str, dict[str, Array]]):
    """Each kernel W as W + A B. Hu 2021, eq. 3."""

    def one(path, leaf):
        low = adapters.get(name_of(path))
        return leaf if low is None else leaf + (low["a"] @ low["b"]).reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(one, group)


def with_lora(method: Method, rank: int) -> Method:
    """`method` with adapters beside the kernels of each trained group; the group itself stays."""
    groups = tuple(dict.fromkeys(turn.trains for turn in method.turns))

    def whole(params: Params) -> Params:
        return {g: add(p, params[g + LORA]) if g in groups else p for g, p in params.items() if not g.endswith(LORA)}

    def init(key):
        params, extra = method.init(key)
        own = jax.random.split(jax.random.fold_in(key, STREAM), len(groups))
        low = {g + LORA: first_adapters(k, params[g], rank) for g, k in zip(groups, own, strict=True)}
        return {**params, **low}, extra

    def over(call: Callable | None) -> Callable | None:
        return None if call is None else lambda params, *more, **named: call(whole(params), *more, **named)

    return replace(
        method,
        init=init,
        turns=tuple(replace(turn, trains=turn.trains + LORA, loss=over(turn.loss)) for turn in method.turns),
        optim={g + LORA: method.optim[g] for g in groups},
        ema={g + LORA: decay for g, decay in method.ema.items() if g in groups},
        sample=over(method.sample),
        validate=over(method.validate),
        bits=over(method.bits),
        edit=over(method.edit),
        style=over(method.style),
        features=over(method.features),
    )
