"""A run on disk: `config.json`, `metrics.jsonl`, `checkpoints/<step>/`, `best/<step>/`, `samples/<step>.png`,
`tensorboard/`."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import jax

from prodgen_jax.data.captions import EMBEDDING, TEXT, Vocabulary, vocabulary
from prodgen_jax.data.origin import GENERATED, Origin
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.consistency import TEACHER
from prodgen_jax.methods.core import Method, Params, State, init_state
from prodgen_jax.methods.spec import choose
from prodgen_jax.training.checkpoint import Checkpoints
from prodgen_jax.training.privacy import spent
from prodgen_jax.training.recipe import Recipe, recipe
from prodgen_jax.training.track import read_metrics
from prodgen_jax.training.weights import (
    NUMBERS,
    PREFIX,
    SUFFIX,
    hash_weights,
    read_facts,
    read_params,
    save_weights,
    shipped,
)

BEST = "best"  # the folder of the best checkpoint
CONFIG = ("method", "settings", "size", "attributes", "fingerprint", "seed", "versions")
PHOTOS = "photos"  # how many a private run learned from, which its promise depends on
LATER = {"words": [], "start": None, EMBEDDING: 0, PHOTOS: 0}  # what a config.json may be without, and what that means


def config_of(made: Recipe, prepared: PreparedSet, seed: int, start: "Run | None" = None, embedding: int = 0) -> dict:
    """What config.json says: enough to build the method again and to know the data it saw. start: the run of --from,
    whose words it knows as well. embedding: numbers of an encoder's vectors, which stand in it where there are any."""
    reads = TEXT in getattr(made.method, "condition", ())
    return {
        "method": made.name,
        "settings": made.settings(),
        "size": prepared.size,
        "attributes": {name: list(values) for name, values in prepared.attributes.items()},
        "words": list(vocabulary(prepared, start.vocabulary.words if start else ()).words) if reads else [],
        "fingerprint": prepared.fingerprint,
        "seed": seed,
        "start": start and str(start.path),
        "versions": {name: version(name) for name in ("jax", "flax", "optax")},
        **({EMBEDDING: embedding} if embedding else {}),
        **({PHOTOS: prepared.splits["train"]} if made.loop.dp_noise else {}),
    }


@dataclass(frozen=True)
class Run:
    """A trained run. `params` are the averaged ones, ready to sample with.

    part: the folder of its checkpoints: `checkpoints` holds the newest, `best` the one of the best validation metric.
    """

    path: Path
    config: dict
    part: str = "checkpoints"

    @property
    def recipe(self) -> Recipe:
        return recipe(self.config["method"], **self.config["settings"])

    @property
    def attributes(self) -> dict[str, list[str]]:
        return self.config["attributes"]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that it can be told; none where it is not conditional on text."""
        return Vocabulary(tuple(self.config["words"]))

    @property
    def spec(self) -> Spec:
        attributes = {name: len(values) for name, values in self.attributes.items()}
        return Spec(self.config["size"], 3, attributes, len(self.vocabulary.words), self.config.get(EMBEDDING, 0))

    @cached_property
    def method(self) -> Method:
        return self.recipe.build(self.spec)

    def sampling_with(self, settings: Mapping) -> Method:
        """The run's method with other settings of sampling. InputError lists those, should a name not be one."""
        name, trained = self.config["method"], self.config["settings"]
        free = METHODS[name].sampling
        for key in settings:
            if key not in free:
                may = f"those of sampling may: {', '.join(free)}" if free else f"a {name} has none of sampling"
                raise InputError(f"setting '{key}' cannot be changed after training; {may}")
        return recipe(name, **{**trained, **settings}).build(self.spec)

    @property
    def is_file(self) -> bool:
        """Whether it is a model made by `export`, without checkpoints."""
        return self.path.suffix == SUFFIX

    @cached_property
    def _like(self) -> State:
        method = self.method  # made here: made within the trace, it would keep what is traced
        like = jax.eval_shape(lambda: init_state(method, jax.random.key(0)))
        return like._replace(key=jax.random.key(0))

    @cached_property
    def _restored(self) -> tuple[State, dict]:
        with Checkpoints(self.path / self.part) as saves:
            return saves.restore(self._like)

    @cached_property
    def params(self) -> Params:
        return read_params(self.path, drawing(self._like.averaged)) if self.is_file else self._restored[0].averaged

    @cached_property
    def identity(self) -> str:
        """16 letters that name its parameters: the beginning of their hash."""
        return hash_weights(named(self.params))[:16]

    def origin(self, kind: str = GENERATED, **facts) -> Origin:
        """What a file says of a picture that the run made, or changed; facts: the seed, and what was asked for."""
        return Origin(kind, {"model": self.identity, "method": self.config["method"], **facts})

    @property
    def step(self) -> int:
        return self.config["step"] if self.is_file else int(self._restored[0].step)

    @property
    def seconds(self) -> float:
        """Seconds of training behind the newest checkpoint."""
        return (self.config if self.is_file else self._restored[1])["seconds"]

    @property
    def best(self) -> dict | None:
        """{metric, value, step, waited} of the best check so far, None where there was none."""
        best = None if self.is_file else self._restored[1].get("best")
        return best if best and best["step"] else None

    @property
    def promise(self) -> dict[str, float] | None:
        """{"epsilon", "delta"} of a run trained by DP-SGD, for the photos of its own set; None of any other run."""
        if not self.config.get(PHOTOS):
            return None
        made = self.recipe.loop
        return spent(self.config[PHOTOS], made.batch, made.dp_noise, self.step)

    @property
    def metrics(self) -> list[dict]:
        return read_metrics(self.path / "metrics.jsonl")


def drawing(params: Params) -> Params:
    """Without the teacher, whom a student no longer asks."""
    return {name: group for name, group in params.items() if not name.endswith(TEACHER)}


def export(run: Run, path: str | Path, numbers: str = "bf16", settings: Mapping | None = None) -> None:
    """The run's averaged parameters and all that builds its method again, as one file that `open_run` opens.

    numbers: bf16, fp32 or int8. settings: of sampling, in the place of the run's own. A private run's file does not
    tell its seed, by which its noise could be taken away. InputError as `sampling_with`'s.
    """
    if settings:
        run.sampling_with(settings)
    save_model(run, path, run.params, numbers, settings)


def save_model(run: Run, path: str | Path, params: Params, numbers: str, settings: Mapping | None = None) -> None:
    """Parameters as a file that `open_run` opens as the run's model with other settings. InputError for bad numbers."""
    choose(NUMBERS, numbers, "numbers")
    made = recipe(run.config["method"], **{**run.config["settings"], **(settings or {})})
    begun = run.config["start"] and Path(run.config["start"]).name  # where it lay is nobody's business
    how = {name: Path(value).name if name == "eye" else value for name, value in made.settings().items()}
    facts = {**run.config, "settings": how, "start": begun, "step": run.step, "seconds": run.seconds}
    if run.promise:
        facts.pop("seed", None)  # a file that was made so has none
    save_weights(path, drawing(params), facts, numbers)


def use_compilation_cache() -> None:
    """Keeps compiled steps and samplers in the user's cache folder, so that a second start compiles nothing."""
    if jax.config.jax_compilation_cache_dir is None:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(home / "prodgen_jax" / "xla"))


def open_run(path: str | Path) -> Run:
    """The run in a folder; `RUN/best` is the same run with its best parameters. InputError if it is none.

    FILE.safetensors: a model made by `export`; `pretrained:NAME`: one that comes with the package. Neither has metrics.
    """
    use_compilation_cache()
    if str(path).startswith(PREFIX):
        path = shipped(str(path).removeprefix(PREFIX))
    if Path(path).is_symlink():  # a link has a name of its own, and what it leads to may be a file
        path = Path(path).resolve()
    if Path(path).suffix == SUFFIX:
        return Run(Path(path), read_facts(Path(path)))
    path, part = Path(path), "checkpoints"
    if path.name == BEST and not (path / "config.json").exists():
        path, part = path.parent, BEST
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        return Run(
            path,
            {
                **{name: config[name] for name in CONFIG},
                **{name: config.get(name, nothing) for name, nothing in LATER.items()},
            },
            part,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a run folder (no readable config.json); make one with 'prodgen train'"
        ) from error
