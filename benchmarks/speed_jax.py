"""The other side of `benchmarks/speed.py`: whole training steps, and samples, of this package.

Says one JSON line when ready, then one for each line it is told: `N` (the seconds of N steps), `flops` (of a step, from
the compiled code), `matmul` (the peak of this machine, FLOP/s), `draw PICTURES CALLS SAMPLER STEPS EVALUATIONS` (the
seconds of each call of the compiled sampler; `-` is a method without one), `peak` (MB of memory so far). With
`--memory` it says at once what the compiled step holds, and plays nothing.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from statistics import fmean

import jax
import jax.numpy as jnp
import numpy as np

from prodgen_jax.data.images import to_signed
from prodgen_jax.data.prepared import Split
from prodgen_jax.evaluation.compare import compiled_step, flop_by_step
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import Method, due, init_state
from prodgen_jax.sampling.sample import image_keys
from prodgen_jax.training.accumulate import accumulated
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.loop import loop
from prodgen_jax.training.parallel import WAYS, compile_steps, period, pick_devices
from prodgen_jax.training.recipe import Recipe, recipe

ALSO = {  # what is measured under a name of its own, or without what its peer does not have
    "dit": ("ddpm", {"network": "dit"}),
    "dcgan": ("dcgan", {"stddev_group": 0}),
}
SAVERS = {
    "plain": {},
    "remat": {"remat": True},
    "accumulate=4": {"accumulate": 4},
    "both": {"remat": True, "accumulate": 4},
}


def say(**facts) -> None:
    print(json.dumps(facts), flush=True)


def random_split(size: int, n: int = 2048) -> Split:
    empty = np.zeros(n, dtype="U1")
    return Split(np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8), {}, empty, empty, empty)


def constant_batch(method: Method, split: Split, batch: int) -> Iterator:
    """The same step with one batch that lies on the device already: what the loader is held against."""
    devices, way = pick_devices(None), WAYS["pmap"]
    state = way.replicate(init_state(method, jax.random.key(0)), devices)
    source = way.replicate({"image": to_signed(jnp.asarray(split.images[:batch])), "label": {}}, devices)
    run = compile_steps(method, lambda source, rows, keys: source, devices, True, way, False)
    rows, step = np.zeros((len(devices), 1, batch // len(devices)), np.int32), 0
    while True:
        state, metrics, _ = run(step, state, source, rows)
        step += 1
        yield metrics


def matmul_peak(n: int = 2048, repeats: int = 10) -> float:
    """FLOP/s of the fastest of several products of two n x n matrices, fp32."""
    multiply, x = jax.jit(jnp.matmul), jnp.ones((n, n))
    multiply(x, x).block_until_ready()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        multiply(x, x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds)


def step_memory(made: Recipe, spec: Spec) -> float:
    """MB of temporaries in one compiled training step, beside parameters, optimizer and batch."""
    method = accumulated(made.build(spec), made.loop.accumulate, unroll=jax.default_backend() == "cpu")
    step = compiled_step(method, spec, made.loop.batch, due(method, 0))
    return step.memory_analysis().temp_size_in_bytes / 1e6


class Drawing:
    """The compiled samplers of one method, each made when it is first asked for."""

    def __init__(self, name: str, settings: dict, spec: Spec):
        self.name, self.settings, self.spec, self.made = name, settings, spec, {}

    def latencies(self, pictures: int, calls: int, sampler: str, steps: int) -> list[float]:
        """Seconds of each call."""
        if (sampler, steps) not in self.made:
            chosen = {} if sampler == "-" else {"sampler": sampler, "sample_steps": steps}
            method = recipe(self.name, **self.settings, **chosen).build(self.spec)
            self.made[sampler, steps] = jitted(method.sample), init_state(method, jax.random.key(0)).averaged
        sample, params = self.made[sampler, steps]
        seconds, keys = [], image_keys(0, 0, pictures)
        for _ in range(calls):
            start = time.perf_counter()
            jax.block_until_ready(sample(params, keys, {}))
            seconds.append(time.perf_counter() - start)
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--feed", choices=("resident", "stream", "constant"), default="resident")
    parser.add_argument("--memory", action="store_true")
    args = parser.parse_args()
    begun, spec = time.perf_counter(), Spec(args.size)
    name, settings = ALSO.get(args.method, (args.method, {}))
    settings |= {"batch": args.batch, "route": "stream" if args.feed == "stream" else "resident"}
    if args.memory:
        return say(**{way: step_memory(recipe(name, **settings, **more), spec) for way, more in SAVERS.items()})
    made = recipe(name, **settings)
    method, split, drawing = made.build(spec), random_split(args.size), Drawing(name, settings, spec)
    if args.feed == "constant":
        ticks = constant_batch(method, split, args.batch)
    else:
        ticks = (tick.metrics for tick in loop(method, split, made.loop, made.augment, seed=0))

    def play(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            metrics = next(ticks)
        jax.block_until_ready(metrics)
        return time.perf_counter() - start

    play(18)  # both kinds of DCGAN's steps
    count = sum(x.size for x in jax.tree.leaves(init_state(method, jax.random.key(0)).params))
    say(parameters=count, compile_s=round(time.perf_counter() - begun, 2), version=jax.__version__)
    for line in sys.stdin:
        match line.split():
            case ["flops"]:
                say(flops=fmean(islice(flop_by_step(made, spec), period(method))))
            case ["matmul"]:
                say(matmul=matmul_peak())
            case ["draw", pictures, calls, sampler, steps, _]:
                say(latencies=drawing.latencies(int(pictures), int(calls), sampler, int(steps)))
            case ["peak"]:
                say(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            case [n]:
                say(seconds=play(int(n)))


if __name__ == "__main__":
    main()
