"""What a search chooses from: a setting's range or list, from a file or by default, and the settings it found best."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS
from prodgen_jax.training.recipe import Recipe


def optuna_module():
    """Optuna, quiet. InputError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise InputError("a search needs Optuna: pip install 'prodgen-jax[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def default_space(name: str, network: str | None = None) -> dict[str, dict]:
    """A tenth to ten times each step size of the method, and half to twice its width, or that of another network."""
    fields = {f.name: f.default for f in dataclasses.fields(METHODS[name].settings)}
    rates = {key: value for key, value in fields.items() if key.endswith("lr")}
    space: dict[str, dict] = {key: {"low": value / 10, "high": value * 10, "log": True} for key, value in rates.items()}
    width = f"{network}_width" if f"{network}_width" in fields else "width"
    if width in fields:
        space[width] = {"choices": [fields[width] // 2, fields[width], fields[width] * 2]}
    return space


def read_json(file: str | Path) -> dict:
    """InputError where it is no JSON object."""
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: expected a JSON object, as in {{...}}")
    return found


def best_settings(file: str | Path, method: str) -> dict:
    """The settings in a best.json. InputError where they are another method's, or there are none."""
    found = read_json(file)
    if not isinstance(found.get("settings"), dict) or found.get("method") != method:
        raise InputError(
            f"{file}: expected {{'method': '{method}', 'settings': {{...}}}}, as `prodgen search` writes it"
        )
    return found["settings"]


def distributions(space: Mapping[str, Mapping], made: Recipe) -> dict:
    """{setting: Optuna's distribution}. `{"low", "high", "log", "step"}` is a range, `{"choices": [...]}` a list.

    InputError names a setting that does not exist, or a range that is none.
    """
    kinds, known = optuna_module().distributions, made.settings()
    if not space:
        raise InputError("there is nothing to search: name at least one setting in --space")
    found = {}
    for name, spec in space.items():
        if name not in known:
            raise InputError(f"space: setting '{name}' is not known for {made.name}; known: {', '.join(sorted(known))}")
        try:
            if "choices" in spec:
                found[name] = kinds.CategoricalDistribution(**spec)
            else:
                whole = isinstance(known[name], int) and not isinstance(known[name], bool)
                found[name] = (kinds.IntDistribution if whole else kinds.FloatDistribution)(**spec)
        except (TypeError, ValueError) as error:
            raise InputError(f"space: {name}: {error}; expected low and high (log, step), or choices") from error
    return found
