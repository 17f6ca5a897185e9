"""Every family within the same budget: trained, sampled and scored alike, several seeds each, one table (E5, E9).

```
OUT/runs/BUDGET/METHOD-SETTINGS/SEED/      the run; SETTINGS names what was set, so that other settings stand beside it
OUT/records/BUDGET/METHOD-SETTINGS-SEED.json   its record, with what it cost under "trial"; a finished one is not redone
OUT/compare.json, compare.md, frontier.png     what is compared: of each method the settings that were asked for last
```
BUDGET is `time`, the same wall clock of training for all, compilation included; or `work`, the same number of floating
point operations, counted in the compiled step: as many as the method that did fewest in the time budget.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, islice, takewhile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from prodgen_jax.data.captions import unsaid
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import difference, over_seeds
from prodgen_jax.evaluation.plots import frontier_plot
from prodgen_jax.evaluation.runs import evaluate_run, write_record
from prodgen_jax.evaluation.tables import markdown, plain
from prodgen_jax.methods.core import AXIS, Method, due, init_state, train_step
from prodgen_jax.methods.spec import Spec
from prodgen_jax.sampling.sample import image_keys
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.features import FeatureNetwork, feature_network
from prodgen_jax.training.fit import fit
from prodgen_jax.training.recipe import Recipe, recipe
from prodgen_jax.training.run import Run

AT_ONCE, WARM = 64, 3  # pictures in a timed call of a compiled sampler, and such calls
SHOWN = {"FCD": "fcd", "precision": "precision", "recall": "recall", "coverage": "coverage"}


@dataclass(frozen=True)
class Comparison:
    """What is compared. settings: {method: {key: value}}; flop: compare within the same work as well."""

    methods: Sequence[str]
    minutes: float
    seeds: int = 3
    samples: int = 1000  # pictures drawn from each run
    preset: str = "cpu"
    flop: bool = False
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def check(self) -> dict[str, Recipe]:
        """{method: its recipe}. InputError names what cannot be."""
        strangers = sorted(set(self.settings) - set(self.methods))
        if strangers:
            raise InputError(f"--set {strangers[0]}.…: compared are {', '.join(self.methods) or 'no methods'}")
        for name, value in (("minutes", self.minutes), ("seeds", self.seeds), ("samples", self.samples)):
            if not value > 0:
                raise InputError(f"{name}={value}: must be above 0")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise InputError("--methods: name one method or more, each once")
        return {name: recipe(name, self.preset, **self.settings.get(name, {})) for name in self.methods}


def compare(
    prepared: PreparedSet, out: str | Path, wanted: Comparison, *, network: FeatureNetwork | None = None
) -> dict:
    """Trains, samples and scores all methods and seeds; what `out` holds already is not done again.

    Returns what compare.json says: {"budgets": {budget: {method: {"tried", "seeds", measure: [mean, half of its
    interval]}}}, ...}. InputError where a method, a setting or a number cannot be; nothing is trained then.
    """
    recipes, out = wanted.check(), Path(out)
    for name, made in recipes.items():
        method = made.build(Spec.of(prepared))
        if method.domains or method.style is not None:
            raise InputError(f"--methods: a {name} draws nothing like the whole catalog, so there is no set to compare")
    network = network or feature_network(prepared)
    place = Place(out, prepared, network, wanted)
    trials = {"time": place.all(recipes, "time", lambda made: {"minutes": wanted.minutes})}
    if wanted.flop:
        least = min(row["trial"]["flop"] for rows in trials["time"].values() for row in rows)
        trials["work"] = place.all(recipes, "work", lambda made: {"steps": steps_for(least, made, Spec.of(prepared))})
    found = {
        "format": 1,
        "minutes": wanted.minutes,
        "samples": wanted.samples,
        "network": network.weights_sha256,
        "data": prepared.fingerprint,
        "budgets": {budget: summarize(rows, out / "runs" / budget) for budget, rows in trials.items()},
    }
    write_record(out / "compare.json", found)
    (out / "compare.md").write_text(report(found), encoding="utf-8")
    frontier_plot(found["budgets"]["time"]).savefig(out / "frontier.png")
    return found


@dataclass(frozen=True)
class Place:
    """A comparison's folder, data and yardstick."""

    out: Path
    prepared: PreparedSet
    network: FeatureNetwork
    wanted: Comparison

    def all(self, recipes: Mapping[str, Recipe], budget: str, length: Callable) -> dict[str, list[dict]]:
        """{method: the record of each seed}, seed by seed, so that a stop leaves all methods equally far."""
        found: dict[str, list[dict]] = {name: [] for name in recipes}
        for seed in range(self.wanted.seeds):
            for name, made in recipes.items():
                found[name].append(self.one(made, budget, seed, length(made)))
        return found

    def one(self, made: Recipe, budget: str, seed: int, length: dict) -> dict:
        """One trial's record, read if it stands there and was made alike."""
        title = f"{made.name}-{tag(made)}"
        file = self.out / "records" / budget / f"{title}-{seed}.json"
        key = {**length, "samples": self.wanted.samples, "network": self.network.weights_sha256}
        if file.exists():
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["trial"]["key"] == key:
                return record
        run = fit(made, self.prepared, self.out / "runs" / budget / title / str(seed), seed=seed, resume=True, **length)
        options = {"n": self.wanted.samples, "seed": seed, "network": self.network, "name": made.name}
        record, _ = evaluate_run(run, self.prepared, **options)
        record["trial"] = {"key": key, **cost(run)}
        write_record(file, record)
        return record


def tag(made: Recipe) -> str:
    """Eight characters that name a recipe's settings."""
    return hashlib.sha256(json.dumps(made.settings(), sort_keys=True).encode()).hexdigest()[:8]


# --- cost ---------------------------------------------------------------------------------------------------------


def cost(run: Run) -> dict:
    """What a run took to train and takes to sample: steps, seconds, operations, parameters, pictures per second."""
    return {
        "steps": run.step,
        "seconds": run.seconds,
        "flop": sum(islice(flop_by_step(run.recipe, run.spec), run.step)),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(run.params)),
        "images_per_second": sampling_speed(run),
    }


def flop_by_step(made: Recipe, spec: Spec) -> Iterator[float]:
    """Floating point operations of each training step in turn, without end, as XLA counts them in compiled programs.

    A step has those of the turns that are due in it. Augmentation is left out; a loop's body is counted once by XLA,
    which matters to no training step here.
    """
    method, counted = made.build(spec), {}
    for step in count():
        if (now := due(method, step)) not in counted:
            counted[now] = compiled_step(method, spec, made.loop.batch, now).cost_analysis()["flops"]
        yield counted[now]


def compiled_step(method: Method, spec: Spec, batch: int, dues: tuple[bool, ...]) -> jax.stages.Compiled:
    """The training step of one device with these turns due, compiled from shapes alone; without augmentation.

    The state is consumed, as in training; else what a step holds meanwhile would hide in the room of the next state.
    """
    photos = (len(method.domains),) if method.domains else ()  # of an example
    one = {
        "image": jax.ShapeDtypeStruct((1, batch, *photos, spec.size, spec.size, spec.channels), jnp.float32),
        "label": {name: jax.ShapeDtypeStruct((1, *unsaid(name, batch).shape), jnp.int32) for name in spec.conditions},
    }
    state = jax.eval_shape(lambda: jax.tree.map(lambda x: x[None], init_state(method, jax.random.key(0))))
    step = jax.vmap(lambda state, batch: train_step(method, dues, state, batch), axis_name=AXIS)
    return jax.jit(step, donate_argnums=0).lower(state, one).compile()


def steps_for(flop: float, made: Recipe, spec: Spec) -> int:
    """How many steps hold no more than so much work; at least one."""
    spent = accumulate(flop_by_step(made, spec))
    return max(1, sum(1 for _ in takewhile(lambda so_far: so_far <= flop, spent)))


def sampling_speed(run: Run) -> float:
    """Pictures per second of the compiled sampler, warm: the median of three calls."""
    sampler, keys, seconds = jitted(run.method.sample), image_keys(0, 0, AT_ONCE), []
    nothing = {name: unsaid(name, AT_ONCE) for name in run.method.conditions}
    for _ in range(1 + WARM):
        begun = time.perf_counter()
        jax.block_until_ready(sampler(run.params, keys, nothing))
        seconds.append(time.perf_counter() - begun)
    return AT_ONCE / float(np.median(seconds[1:]))


# --- the table ----------------------------------------------------------------------------------------------------


def summarize(rows: Mapping[str, Sequence[Mapping]], runs: Path) -> dict[str, dict]:
    """{method: mean and half interval over seeds of each measure and cost, and how many settings were tried}."""
    found = {}
    for name, records in rows.items():
        values = {key: [r["samples"][key] for r in records] for key in records[0]["samples"]}
        values |= {key: [r["trial"][key] for r in records] for key in ("steps", "seconds", "flop", "images_per_second")}
        tried = len(list(runs.glob(f"{name}-*")))
        found[name] = {
            "tried": tried,
            "seeds": len(records),
            "parameters": records[0]["trial"]["parameters"],
            "copies": sum(r["copies"]["copies"] for r in records),
            **{key: over_seeds(column) for key, column in values.items()},
        }
    return found


def cell(at: Sequence[float | None]) -> str:
    mean, half = at
    return plain(mean) + (f" ± {plain(half)}" if half is not None else "")


def margins(methods: Mapping[str, Mapping]) -> str:
    """Whether each method's FCD is surely above the best one's; empty where there is nothing to tell apart."""
    best, *others = sorted(methods, key=lambda name: methods[name]["fcd"][0])
    rows = []
    for name in others:
        one, other = methods[name], methods[best]
        gap, half = difference(one["fcd"], other["fcd"], (one["seeds"], other["seeds"]))
        if half is not None:
            rows.append([f"{best} before {name}", cell((gap, half)), "yes" if gap > half else "not sure"])
    return markdown(["", "FCD between them", "does it hold?"], rows) if rows else ""


def report(found: Mapping) -> str:
    """The tables of a comparison, as markdown: quality and cost apart, so that each fits a narrow screen."""
    titles = {"time": f"{found['minutes']:g} minutes of training each", "work": "The same work each"}
    parts = ["# Every family within the same budget", ""]
    for budget, methods in found["budgets"].items():
        ranked = sorted(methods.items(), key=lambda item: item[1]["fcd"][0])
        seeds = max(at["seeds"] for at in methods.values())
        means = f"means over {seeds} seeds of training, ± half of a 95 % interval" if seeds > 1 else "one seed each"
        quality = [[name, *(cell(at[key]) for key in SHOWN.values())] for name, at in ranked]
        price = [
            [name, f"{at['steps'][0]:,.0f}", f"{at['seconds'][0]:.0f}", f"{at['flop'][0] / 1e12:.3g}",
             cell(at["images_per_second"]), at["tried"]]
            for name, at in ranked
        ]  # fmt: skip
        parts += [
            f"## {titles[budget]}",
            "",
            markdown(["method", *SHOWN], quality),
            "",
            markdown(["method", "steps", "s", "TFLOP", "samples/s", "settings tried"], price),
            "",
            f"{found['samples']} samples each; {means}.",
            "",
            *([table, ""] if (table := margins(methods)) else []),
        ]
    return "\n".join(parts)
