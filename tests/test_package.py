"""The package as a whole: what it brings in, which way it imports, and the few rules that a reader relies on."""

import ast
import json
from pathlib import Path

import pytest

import prodgen_jax

PACKAGE = Path(prodgen_jax.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {"errors": 0, "progress": 0, "literals": 1, "data": 1, "nets": 1, "methods": 2, "training": 3, "sampling": 4,
         "evaluation": 5, "deploy": 6, "cli": 7}  # fmt: skip
HEAVY = ("tensorflow", "torch", "tensorflow_datasets", "grain")

IMPORTS = """
import sys, json
import prodgen_jax
print(json.dumps([name for name in ("jax", "numpy") if name in sys.modules]))
from prodgen_jax import *
import prodgen_jax.evaluation.figures, prodgen_jax.evaluation.paired
heavy = lambda: [name for name in {heavy} if name in sys.modules]
print(json.dumps(heavy()))
made = recipe("vae", width=8, latent=4, batch=16, sheet_images=4)
run = fit(made, open_prepared(sys.argv[1]), sys.argv[2], steps=2)
sample(run, 2)
print(json.dumps(heavy()))
"""

OPTIONAL = ("ipykernel", "mlflow", "myst_nb", "nbformat", "optuna", "papermill", "prometheus_client", "sphinx",
            "tornado", "wandb")  # fmt: skip
EVERYTHING = """
import importlib, json, pkgutil, sys
from importlib.machinery import ModuleSpec

class Watch:
    wanted = []
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in ("tensorflow", "torch") else None
    def create_module(self, spec):
        self.wanted.append(spec.name)
        raise ImportError(f"{{spec.name}} is not for us", name=spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Watch())
import prodgen_jax
from prodgen_jax import *
names = [found.name for found in pkgutil.walk_packages(prodgen_jax.__path__, "prodgen_jax.")]
for name in names:
    try:
        name.endswith("__main__") or importlib.import_module(name)
    except ImportError as error:
        if error.name.split(".")[0] not in {optional}:
            raise
from prodgen_jax.training.features import feature_network
prepared = open_prepared(sys.argv[1])
run = fit(recipe("vae", width=8, latent=4, batch=16, sheet_images=4), prepared, sys.argv[2], steps=2)
record = evaluate(sample(run, 64)[0], prepared, network=feature_network(prepared, steps=2), category="colour")
print(json.dumps([len(names), record["n"]["samples"], Watch.wanted]))
try:
    import torch
except ImportError:
    print(json.dumps(Watch.wanted))
"""


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree):
    """The rooms that a file imports from anywhere in it, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say where from in full"
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for parts in (name.split(".") for name in names):
            if parts[0] == "prodgen_jax" and len(parts) > 1:
                yield parts[1], node.lineno


def names_in(tree):
    """Every name and attribute that the code uses; docstrings and comments do not count."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            yield node.id if isinstance(node, ast.Name) else node.attr


@pytest.fixture(scope="module")
def trees():
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


def test_imports_point_one_way(trees):
    assert {room(file) for file in FILES} == {*ROOMS, "__init__"}
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports {other}"
        for file, tree in trees.items()
        for other, line in imported(tree)
        if room(file) != other and not ROOMS[other] < ROOMS.get(room(file), 0)
    ]
    assert not wrong


def test_one_file_names_pmap_and_only_the_door_prints(trees):
    homes = (("pmap", "training/parallel.py"), ("shard_map", "training/parallel.py"), ("print", "cli/"))
    for name, home in homes:
        users = [file.relative_to(PACKAGE).as_posix() for file, tree in trees.items() if name in names_in(tree)]
        assert users and all(user.startswith(home) for user in users)


def test_nothing_heavy_comes_in_even_by_training(tiny, tmp_path, finish):
    code = IMPORTS.format(heavy=HEAVY)
    first, imports, trained = map(json.loads, finish("-c", code, tiny.path, tmp_path / "run").splitlines())
    assert (first, imports, trained) == ([], [], [])


@pytest.mark.slow
def test_neither_tensorflow_nor_torch_is_ever_asked_for(noise_set, tmp_path, finish):
    """Not by any file, nor by training, sampling and measuring: a watch stands where either would be found."""
    prepared = noise_set(train=160, validation=64, test=128)
    code = EVERYTHING.format(optional=OPTIONAL)
    *_, found, watched = finish("-c", code, prepared.path, tmp_path / "run").splitlines()
    files, samples, wanted = json.loads(found)
    assert files > 60 and samples == 64 and wanted == []
    assert json.loads(watched) == ["torch"]  # so the watch works


def test_the_front_names_are_there():
    for name in prodgen_jax.__all__:
        assert getattr(prodgen_jax, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'train'; it has .*fit"):
        _ = prodgen_jax.train
