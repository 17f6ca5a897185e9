"""Where a run begins: from nothing, or from what another run has learned, on another catalogue as well."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from prodgen_jax.data.captions import TEXT
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS
from prodgen_jax.methods.adapt import LORA, add, name_of, named
from prodgen_jax.methods.consistency import TEACHER
from prodgen_jax.methods.core import EXTRA, State
from prodgen_jax.methods.perception import EYE
from prodgen_jax.nets.vgg import PLACES, WIDTHS
from prodgen_jax.training.features import eye_of
from prodgen_jax.training.recipe import Recipe
from prodgen_jax.training.run import Run

Rows = Mapping[str, tuple[Sequence[str], Sequence[str]]]  # {attribute or text: (values known before, values now)}


def rows_of(old: dict, new: dict) -> Rows:
    """What the rows of embedding tables stand for, in two runs' configs."""
    both = old["attributes"].keys() & new["attributes"].keys()
    return {**{a: (old["attributes"][a], new["attributes"][a]) for a in both}, TEXT: (old["words"], new["words"])}


def carried(
    table: Float[Array, "n+1 d"], before: Sequence[str], now: Sequence[str], other: int
) -> Float[Array, "m+1 d"]:
    """A table's rows for the values `now`: row 0 says nothing; a value that is new begins as row `other` does."""
    place = {value: i + 1 for i, value in enumerate(before)}
    return jnp.asarray(table)[np.array([0, *(place.get(value, other) for value in now)])]


def first_state(fresh: State, run: Run | None, prepared: PreparedSet, config: dict) -> State:
    """Where training begins: a fresh state, with what another run has learned, if one is given; else with the eye of
    the set, where the method looks through one."""
    if run is not None:
        return begun_from(fresh, run, config)
    if EYE not in fresh.params:
        return fresh
    file = config["settings"].get("eye")
    known = vgg_of(file) if file else named(eye_of(prepared))
    eye = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(known[name_of(path)]), fresh.params[EYE])
    return fresh._replace(params={**fresh.params, EYE: eye})


def vgg_of(file: str) -> dict[str, np.ndarray]:
    """The parameters of `nets.vgg`, from a safetensors file with torchvision's names. InputError if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(file)
        kernels = [found[f"features.{place}.weight"] for place in PLACES]
        biases = [found[f"features.{place}.bias"] for place in PLACES]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"eye={file}: no VGG-19 as safetensors with torchvision's names ({error})") from error
    if [kernel.shape[0] for kernel in kernels] != list(WIDTHS):
        raise InputError(f"eye={file}: has other channels than VGG-19")
    named_kernels = {f"convs.{i}.kernel": kernel.transpose(2, 3, 1, 0) for i, kernel in enumerate(kernels)}
    return {**named_kernels, **{f"convs.{i}.bias": bias for i, bias in enumerate(biases)}}


def begun_from(state: State, run: Run, config: dict) -> State:
    """A fresh state with the run's averaged parameters in the place of its own.

    config: of the run that begins. Tables of attributes and words are carried over value by value: what is new begins
    as 'not said', a new word as the unknown one. InputError where the networks differ in anything else.
    """
    begun_with(run, config["method"])
    rows = rows_of(run.config, config)

    def group(name: str, fresh):
        name = name.removesuffix(TEACHER)
        if name not in run.params:
            raise InputError(f"--from {run.path}: has no '{name}'; both need the same network (network={name})")
        known = named(add(run.params[name], run.params.get(name + LORA, {})))  # what was adapted counts

        def one(path, leaf):
            place = name_of(path)
            old = known.get(place)
            for label, (before, now) in rows.items():
                if label in place.split(".") and leaf.ndim == 2 and len(leaf) == len(now) + 1 and old is not None:
                    old = carried(old, before, now, other=1 if label == TEXT else 0)
            if old is None and any(label in place.split(".") for label in config["attributes"]):
                return leaf  # an attribute that the other run was not told
            if old is None or old.shape != leaf.shape:
                was = "has none" if old is None else f"has {old.shape}"
                raise InputError(
                    f"--from {run.path}: {name}.{place} is {leaf.shape} here and the other run {was}; "
                    "both need the same network (width, multipliers, blocks, ...)"
                )
            return jnp.asarray(old, leaf.dtype)

        return jax.tree_util.tree_map_with_path(one, fresh)

    params = {name: fresh if name.endswith(LORA) else group(name, fresh) for name, fresh in state.params.items()}
    extra = group(EXTRA, state.extra) if EXTRA in run.params else state.extra
    ema = {name: jax.tree.map(jnp.copy, params[name]) for name in state.ema}
    return state._replace(params=params, ema=ema, extra=extra)


def begun_with(run: Run, method: str) -> dict:
    """The settings of a run's method, for one that begins from it. InputError where that cannot be.

    What is learned before all else (`Family.stages`) stays as it is, if the run came to its end. A student takes from
    its teacher what both have, but for how the teacher was trained and draws.
    """
    was, family = run.config["method"], METHODS[method]
    if was != method and was not in family.teachers:
        raise InputError(f"--from {run.path}: a {was}, and a {method} is to be trained")
    settings = dataclasses.asdict(run.recipe.method)
    if was == method:
        return settings | dict.fromkeys(family.stages if at_last_stage(run) else (), 0)
    usual = dataclasses.asdict(family.settings())
    return {k: v for k, v in settings.items() if usual.get(k) == getattr(METHODS[was].settings, k, None)}


def at_last_stage(run: Run) -> bool:
    """Whether the run came as far as to the turns that have no end."""
    return all(turn.span[1] <= run.step for turn in run.method.turns if turn.span[1] < math.inf)


def check_start(made: Recipe, run: Run | None) -> None:
    """InputError where a method that learns from another, or that leaves a stage out, has nothing to begin from."""
    family = METHODS[made.name]
    if run is not None:
        return
    if made.adapt.adapt == "sparse":
        raise InputError(
            "adapt=sparse: keeps the zeros of what a run begins from; say by --from FILE, made by prodgen prune"
        )
    if family.teachers:
        raise InputError(f"{made.name} learns from a trained {' or '.join(family.teachers)}: say which by --from RUN")
    for stage in family.stages:
        if not getattr(made.method, stage):
            raise InputError(f"{stage}=0: a {made.name} has it only by --from RUN; else say how many steps it takes")
