"""Run by test_loop in a process with eight virtual devices: trains recipes on one of them and on more.

Arguments: a prepared set, JSON {label: [method, settings]}, and the counts of devices, 1 first. Prints
{label: {devices: [distance, step's metrics]}}: how far parameters, averages and what else is carried end from those of
the method's first label on one device, as a share of their norm.
"""

import json
import sys

import jax
import jax.numpy as jnp

from prodgen_jax.data.captions import told
from prodgen_jax.data.domains import in_domains
from prodgen_jax.data.prepared import open_prepared
from prodgen_jax.methods import Spec
from prodgen_jax.training.loop import loop
from prodgen_jax.training.recipe import recipe

STEPS = 4


def norm(tree) -> float:
    return float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))))


def train(name: str, settings: dict, prepared, devices: int) -> tuple[tuple, dict]:
    made = recipe(name, **settings)
    method = made.build(Spec.of(prepared))
    split = in_domains(told(prepared, "train", method.conditions, several=True), prepared, method.domains)
    *_, tick = loop(method, split, made.loop, made.augment, seed=0, stop=STEPS, devices=devices)
    state = jax.device_get(tick.host_state()._replace(key=0))
    return (state.params, state.ema, state.extra), {name: float(value) for name, value in tick.metrics.items()}


def main(path: str, recipes: str, *counts: str) -> None:
    prepared, found, firsts = open_prepared(path), {}, {}
    for label, (name, settings) in json.loads(recipes).items():
        ends = {count: train(name, settings, prepared, count) for count in map(int, counts)}
        alone = firsts.setdefault(name, ends[1][0])
        found[label] = {
            count: [norm(jax.tree.map(lambda a, b: a - b, end, alone)) / norm(alone), metrics]
            for count, (end, metrics) in ends.items()
        }
    print(json.dumps({"devices": jax.local_device_count(), **found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
