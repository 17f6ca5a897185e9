"""The cases of benchmarks/reliability.py, whose table is docs/reliability.md, and that no pickle is ever loaded."""

import contextlib
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import reliability_cases as matrix  # noqa: E402
import reliability_lab as laboratory  # noqa: E402

ELSEWHERE = ("another", "an infinity", "a pickle", "pickles")  # what test_fit and the test below hold faster
CASES = {name: case for name, case in matrix.cases(moments=2, seed=11).items() if not name.startswith(ELSEWHERE)}
LONG = {
    "a NaN, nan=skip",
    "Ctrl-C",
    "SIGTERM",
    "kill -9, moment 1",
    "two processes on one folder",
}  # beside the like of it
DISKS = ("full disk", "read-only folder")


@pytest.fixture(scope="module")
def lab(tiny, noise_set, tmp_path_factory):
    """Commands that are not interrupted run in this process, which is faster."""
    place = tmp_path_factory.mktemp("lab")
    return laboratory.Lab(tiny.path, noise_set(seed=1).path, place, laboratory.inside)


def may_mount(folder):
    try:
        with laboratory.small_disk(folder):
            return True
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in CASES])
def test_a_bad_end_loses_nothing(lab, name, tmp_path):
    if name in DISKS and not may_mount(tmp_path / "disk"):
        pytest.skip("mounting a small disk needs root")
    row = CASES[name](lab)
    assert row.resumed > row.saved >= (0 if "before the first" in name else laboratory.EVERY) and row.said


# --- no pickle ----------------------------------------------------------------------------------------------------

WATCH = []  # [whether it is on, what was seen]; a hook can be added but never taken away


@pytest.fixture
def unpickled():
    """The names that are unpickled during the test."""
    if not WATCH:
        WATCH.append(False)
        sys.addaudithook(lambda event, args: WATCH.append(args) if WATCH[0] and event == "pickle.find_class" else None)
    WATCH[:] = [True]
    yield WATCH
    WATCH[0] = False


@pytest.mark.long
def test_no_pickle_is_loaded_from_a_run_folder(run, tiny, tiny_recipe, tmp_path, unpickled):
    """Each file of a run in turn is a pickle that would show itself; resuming and sampling refuse it or do without."""
    files = [p.relative_to(run.path) for p in run.path.rglob("*") if p.is_file() and p.suffix != ".png"]
    assert len(files) > 5
    for i, file in enumerate(files):
        copy = shutil.copytree(run.path, tmp_path / str(i))
        laboratory.planted([copy / file], tmp_path / "canary")
        with contextlib.suppress(InputError):
            sample(open_run(copy), 1)
        with contextlib.suppress(InputError):
            fit(tiny_recipe("vae"), tiny, copy, steps=2, resume=True)
        shutil.rmtree(copy)
    assert unpickled == [True] and not (tmp_path / "canary").exists()
    with pytest.raises(FileNotFoundError):  # so the watch works: a pickle that is loaded is seen
        pickle.loads(pickle.dumps(laboratory.Canary(tmp_path / "no" / "such")))
    assert len(unpickled) == 2
