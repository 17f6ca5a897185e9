"""A run's recipe: the method's name and every setting, reached by one flat list of keys."""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass, field

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.adapt import AdaptSettings, adapted
from prodgen_jax.methods.core import Method
from prodgen_jax.training.loop import LoopSettings


@dataclass(frozen=True)
class FitSettings:
    """What `--set` reaches of a run's housekeeping, in steps."""

    log_every: int = 20  # between two lines of metrics.jsonl; every step's metrics are checked for NaN
    checkpoint_every: int = 1000  # between two checkpoints; the last step always has one
    sheet_every: int = 1000  # between two sample sheets; 0: only at the end
    sheet_images: int = 64  # pictures on a sheet
    keep: int = 2  # newest checkpoints that stay on disk
    eval_every: int = 0  # between two checks of the validation metric; 0: none
    eval_images: int = 512  # validation pictures in a check; 0: all
    track: tuple[str, ...] = ("tensorboard",)  # beside metrics.jsonl: tensorboard, wandb, mlflow
    patience: int = 0  # checks without a better value after which the run ends; 0: it never ends early


# Of a preset's settings a method takes those that it has. Widths are multiples of a TPU's 128 lanes.
WIDTHS = {
    "width": 128,
    "critic_width": 128,
    "code_width": 128,
    "tower_width": 128,
    "dit_width": 384,
    "prior_width": 256,
}
WIDE = {**WIDTHS, "steps_per_dispatch": 16, "precision": "bf16", "dit_depth": 12, "prior_depth": 6}
PRESETS: Mapping[str, dict] = {
    "cpu": {},
    "gpu": {**WIDE, "batch": 256, "dit_heads": 6},
    "tpu": {**WIDE, "batch": 512, "dit_heads": 3},
}


@dataclass(frozen=True)
class Recipe:
    """What is trained and how, in literals, so that a run folder can say it."""

    name: str
    method: object  # the family's settings
    loop: LoopSettings = field(default_factory=LoopSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    adapt: AdaptSettings = field(default_factory=AdaptSettings)

    def build(self, spec: Spec) -> Method:
        """The method itself. InputError where a setting does not fit the pictures."""
        try:
            return adapted(METHODS[self.name].build(self.method, spec), self.adapt)
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from error

    def settings(self) -> dict:
        """All settings as one flat dict of literals."""
        parts = (getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "name")
        return {key: value for part in parts for key, value in dataclasses.asdict(part).items()}


def recipe(name: str, preset: str = "cpu", **settings) -> Recipe:
    """A recipe from a method's name, a preset and settings by name; text values are read as the setting's type.

    InputError lists the known methods, presets or settings.
    """
    if name not in METHODS:
        raise InputError(f"method '{name}' is not known; choose one of {', '.join(METHODS)}")
    if preset not in PRESETS:
        raise InputError(f"preset '{preset}' is not known; choose one of {', '.join(PRESETS)}")
    parts = {
        "method": METHODS[name].settings,
        "loop": LoopSettings,
        "augment": AugmentSettings,
        "fit": FitSettings,
        "adapt": AdaptSettings,
    }
    known = {f.name: f for part in parts.values() for f in dataclasses.fields(part)}
    chosen = {**{key: value for key, value in PRESETS[preset].items() if key in known}, **settings}
    for key in chosen:
        if key not in known:
            raise InputError(f"setting '{key}' is not known for {name}; known settings: {', '.join(sorted(known))}")
    values = {key: read(known[key], value) for key, value in chosen.items()}

    def make(part: type):
        return part(**{f.name: values[f.name] for f in dataclasses.fields(part) if f.name in values})

    return Recipe(name, **{key: make(part) for key, part in parts.items()})


def read(setting: dataclasses.Field, value):
    """A value in the setting's own type. InputError says what was expected."""
    row = isinstance(setting.type, types.GenericAlias)  # tuple[int, ...] or tuple[str, ...]
    kind = setting.type.__args__[0] if row else setting.type
    try:
        return tuple(READERS[kind](part) for part in _parts(value)) if row else READERS[kind](value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(
            f"setting {setting.name}={value!r}: expected {kind.__name__}{', ...' * row}, as in {setting.default!r}"
        ) from error


def _flag(value) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]


def _parts(value) -> list:
    return [p.strip() for p in value.split(",") if p.strip()] if isinstance(value, str) else list(value)


def _whole(value) -> int:
    if float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


READERS = {bool: _flag, int: _whole, float: float, str: str}
