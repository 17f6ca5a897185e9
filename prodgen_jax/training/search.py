"""Search for settings at a fixed budget: Optuna proposes, each trial is a run, the validation metric decides.

```
FOLDER/search.json    what is searched, how and on which data; to go on, it must be the same
FOLDER/study.db       Optuna's own record (SQLite): every trial, its settings and its value at every check
FOLDER/trials/0007/   a trial's run folder
FOLDER/trials.json    [{trial, state, value, step: how many were trained, settings}]
FOLDER/best.json      {method, preset, settings, metric, value, trial}: what `prodgen train --settings FILE` takes
```
Each trial is proposed from the seed, its number and the trials before it, so a search that was killed and resumed
proposes what the straight one does; with a budget of steps it also finds the same values.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prodgen_jax.data.captions import told
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.literals import differences
from prodgen_jax.methods import Spec
from prodgen_jax.progress import tell
from prodgen_jax.training.fit import check_numbers, fit
from prodgen_jax.training.loop import check
from prodgen_jax.training.recipe import Recipe, recipe
from prodgen_jax.training.space import default_space, distributions, optuna_module, read_json
from prodgen_jax.training.track import DivergedError
from prodgen_jax.training.validate import Validation

CHECKS = 10  # in a trial whose budget is a number of steps
EVERY = 200  # steps between two checks where the budget is a time


@dataclass(frozen=True)
class Budget:
    """Of each trial: steps in all or minutes of training, whichever ends first."""

    steps: int | None = None
    minutes: float | None = None

    @property
    def eval_every(self) -> int:
        return max(self.steps // CHECKS, 1) if self.steps else EVERY


def write_json(file: Path, value) -> None:
    part = file.with_suffix(".partial")
    part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    part.replace(file)


def said(settings: Mapping) -> str:
    """`{"lr": 0.00123456, "width": 32}` -> `lr=0.001235 width=32`."""
    return " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in settings.items())


def enter(out: Path, about: dict, resume: bool) -> None:
    """Makes the folder; one that is there must hold the same search, and be meant to go on. Else InputError."""
    file = out / "search.json"
    if file.exists():
        if not resume:
            raise InputError(
                f"{out}: there is a search already; add --resume to go on with it, or choose another folder"
            )
        if changed := differences(read_json(file), about):
            raise InputError(f"{out}: cannot go on with another search ({changed})")
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(file, about)


class Search:
    """The trials of one search. `Search(...).run(n)` -> the trials as in trials.json."""

    def __init__(self, name: str, preset: str, settings: Mapping, prepared: PreparedSet, out: Path, seed: int):
        self.name, self.preset, self.settings = name, preset, dict(settings)
        self.prepared, self.out, self.seed = prepared, out, seed
        self.optuna = optuna_module()
        self.states = self.optuna.trial.TrialState

    def recipe(self, budget: Budget, **chosen) -> Recipe:
        checks = {"eval_every": budget.eval_every, "sheet_every": 0}
        return recipe(self.name, self.preset, **{**checks, **self.settings, **chosen})

    def measure(self, made: Recipe) -> Validation:
        """InputError where the method has no validation metric."""
        method = made.build(Spec.of(self.prepared))
        split = told(self.prepared, "validation", method.conditions)
        return Validation(self.name, method, split, made.fit.eval_images, made.loop.batch)

    def open_study(self):
        pruner = self.optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0)
        kind = {"study_name": "search", "direction": "minimize", "load_if_exists": True}
        return self.optuna.create_study(storage=f"sqlite:///{self.out / 'study.db'}", pruner=pruner, **kind)

    def next_trial(self, study, space: dict) -> object:
        """The one that a stop or a kill left unfinished, or a new one."""
        begun = study.get_trials(deepcopy=False, states=(self.states.RUNNING,))
        number = begun[0].number if begun else len(study.get_trials(deepcopy=False))
        study.sampler = self.optuna.samplers.TPESampler(seed=self.seed + number)
        return self.optuna.trial.Trial(study, begun[0]._trial_id) if begun else study.ask(space)

    def play(self, study, trial, budget: Budget) -> float:
        """The trial's value. TrialPruned where its checks are worse than the median of those before it."""
        made, folder = self.recipe(budget, **trial.params), self.out / "trials" / f"{trial.number:04d}"
        known = study.get_trials(deepcopy=False)[trial.number].intermediate_values

        def on_check(step: int, value: float) -> None:
            if step not in known:
                trial.report(value, step)
            if trial.should_prune():
                raise self.optuna.TrialPruned

        ends = {"steps": budget.steps, "minutes": budget.minutes}
        run = fit(made, self.prepared, folder, resume=True, seed=self.seed, on_check=on_check, **ends)
        metric, value = self.measure(made)(run.params)
        study.set_user_attr("metric", metric)
        trial.set_user_attr("step", run.step)
        tell(f"trial {trial.number}: {metric} {value:.4g} after {run.step:,} steps")
        return value

    def finish(self, study, trial, budget: Budget) -> None:
        """Plays a trial and records how it ended. One that diverges or cannot be built has failed, and says why."""
        try:
            made = self.recipe(budget, **trial.params)
            check(made.build(Spec.of(self.prepared)), self.prepared.split("train"), made.loop, made.augment, None)
        except InputError as error:
            tell(f"trial {trial.number}: {error}")
            study.tell(trial, state=self.states.FAIL)
            return
        try:
            study.tell(trial, self.play(study, trial, budget))
        except self.optuna.TrialPruned:
            tell(f"trial {trial.number}: pruned, it was worse than the median of those before it")
            study.tell(trial, state=self.states.PRUNED)
        except DivergedError as error:
            tell(f"trial {trial.number}: {error}")
            study.tell(trial, state=self.states.FAIL)

    def listed(self, study) -> list[dict]:
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value if trial.state == self.states.COMPLETE else None,
                "step": trial.user_attrs.get("step", trial.last_step),
                "settings": trial.params,
            }
            for trial in study.get_trials(deepcopy=False)
        ]

    def write(self, study) -> list[dict]:
        trials = self.listed(study)
        write_json(self.out / "trials.json", trials)
        done = [trial for trial in trials if trial["value"] is not None]
        if done:
            best = min(done, key=lambda trial: trial["value"])
            about = {"method": self.name, "preset": self.preset, "settings": {**self.settings, **best["settings"]}}
            about |= {"metric": study.user_attrs["metric"], "value": best["value"], "trial": best["trial"]}
            write_json(self.out / "best.json", about)
        return trials

    def run(self, trials: int, budget: Budget, space: dict) -> list[dict]:
        study = self.open_study()
        ended = (self.states.COMPLETE, self.states.PRUNED, self.states.FAIL)
        while len(study.get_trials(deepcopy=False, states=ended)) < trials:
            trial = self.next_trial(study, space)
            tell(f"trial {trial.number}, the last is {trials - 1}: {said(trial.params)}")
            self.finish(study, trial, budget)
            self.write(study)
        return self.write(study)


def search(
    name: str,
    prepared: PreparedSet,
    out: str | Path,
    *,
    trials: int,
    steps: int | None = None,
    minutes: float | None = None,
    space: Mapping[str, Mapping] | None = None,
    preset: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    **settings,
) -> list[dict]:
    """Searches `space` for the settings with the lowest validation metric, and returns the trials as in trials.json.

    steps, minutes: the budget of each trial. settings: the same for every trial. Ctrl-C or SIGTERM save the present
    trial; resumed, it goes on. InputError on bad settings, or for a method without a validation metric.
    """
    check_numbers(steps, minutes, seed)
    if trials < 1:
        raise InputError(f"trials={trials}: must be 1 or more")
    out, budget = Path(out), Budget(steps, minutes)
    task = Search(name, preset, settings, prepared, out, seed)
    made = task.recipe(budget)
    if space is None:
        usual = default_space(name, settings.get("network"))
        space = {key: values for key, values in usual.items() if key not in settings}
    if both := sorted(set(space) & set(settings)):
        raise InputError(f"{both[0]} is both set for every trial and searched; leave it out of one of the two")
    kinds = distributions(space, made)
    task.measure(made)
    about = {"method": name, "preset": preset, "settings": made.settings(), "space": space, "seed": seed}
    enter(out, {**about, "budget": dataclasses.asdict(budget), "fingerprint": prepared.fingerprint}, resume)
    return task.run(trials, budget, kinds)
