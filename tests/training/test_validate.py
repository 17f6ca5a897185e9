"""The validation metric: it is what it says, moves nothing, and ends a run when it no longer falls."""

import jax
import numpy as np
import pytest

from prodgen_jax.data.captions import told
from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import init_state
from prodgen_jax.training import validate
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run
from prodgen_jax.training.validate import Best, Validation

HASTY = {"flow": 0, "lr": 0.1, "warmup": 1, "sheet_every": 0}


def leaves(state):
    return jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(two), strict=True))


def test_the_mean_over_parts_is_the_mean_over_all(tiny, tiny_recipe):
    """Five pictures in batches of two, the last one shorter, against one batch with the same keys."""
    method, split = tiny_recipe("vae").build(Spec.of(tiny)), tiny.split("validation")
    params = init_state(method, jax.random.key(0)).params
    name, value = Validation("vae", method, split, 5, 2)(params)
    batch = {"image": to_signed(np.asarray(split.images[:5]))}
    wanted = method.validate(params, batch, jax.random.split(jax.random.key(validate.SEED), 5))
    assert value == pytest.approx(float(wanted[name]), rel=1e-5)
    assert Validation("vae", method, split, 0, 64).n == len(split) == 8


def test_each_method_has_one_metric_or_none(tiny, tiny_recipe):
    """It is lower for what was trained on nothing but these pictures, and a GAN has none."""
    for name in METHODS:
        method = tiny_recipe(name).build(Spec.of(tiny))
        split = told(tiny, "validation", method.conditions)
        if method.validate is None:
            continue
        label = {key: values[:4] for key, values in split.labels.items()}
        batch = {"image": to_signed(np.asarray(split.images[:4])), "label": label}
        shapes = jax.eval_shape(
            lambda key, method=method, batch=batch: method.validate(
                init_state(method, key).averaged, batch, jax.random.split(key, 4)
            ),
            jax.random.key(0),
        )
        assert len(shapes) == 1 and all(x.shape == () for x in jax.tree.leaves(shapes))
    with pytest.raises(InputError, match="dcgan has no validation metric.*an adversary's loss"):
        Validation("dcgan", tiny_recipe("dcgan").build(Spec.of(tiny)), split, 0, 8)


def test_best():
    best = Best()
    seen = [best.see("m", value, step) for step, value in enumerate([2.0, 3.0, 1.0, 1.0, float("nan"), 0.5], 1)]
    assert seen == [True, False, True, False, False, True] and (best.value, best.step, best.waited) == (0.5, 6, 0)


@pytest.fixture(scope="module")
def ended(tiny, tiny_recipe, tmp_path_factory):
    """A run that learns its few pictures by heart with far too large a step size: soon the others only get worse."""
    made = tiny_recipe("vae", **HASTY, eval_every=2, patience=2, checkpoint_every=2)
    return made, fit(made, tiny, tmp_path_factory.mktemp("runs") / "straight", steps=40)


def checks_of(run):
    return {line["step"]: line["validation/bits_per_dim"] for line in run.metrics if "validation/bits_per_dim" in line}


def test_a_run_ends_when_its_metric_no_longer_falls(ended):
    _, run = ended
    values = checks_of(run)
    steps = sorted(values)
    lowest = min(values, key=values.get)
    assert run.step < 40 and run.step == steps[-1] == lowest + 4 and steps == list(range(2, run.step + 1, 2))
    assert run.best == {"metric": "bits_per_dim", "value": values[lowest], "step": lowest, "waited": 2}


def test_the_best_and_the_last_are_kept(ended, tiny):
    made, run = ended
    best = open_run(run.path / "best")
    assert best.step == run.best["step"] < run.step == max(checks_of(run)) and best.path == run.path
    method = made.build(Spec.of(tiny))
    measure = Validation("vae", method, tiny.split("validation"), made.fit.eval_images, made.loop.batch)
    assert measure(best.params)[1] == best.best["value"] == run.best["value"] < measure(run.params)[1]


def test_checks_move_nothing_and_a_stopped_run_ends_at_the_same_step(ended, tiny, tiny_recipe, tmp_path):
    made, run = ended
    plain = tiny_recipe("vae", **HASTY)
    assert same(fit(plain, tiny, tmp_path / "plain", steps=run.step)._restored[0], run._restored[0])
    fit(made, tiny, tmp_path / "twice", steps=3)  # between two checks
    twice = fit(made, tiny, tmp_path / "twice", steps=40, resume=True)
    assert same(twice._restored[0], run._restored[0]) and twice.best == run.best
    assert fit(made, tiny, tmp_path / "twice", steps=40, resume=True).step == run.step


def test_what_ends_a_run_from_outside_leaves_it_whole(tiny, tiny_recipe, tmp_path):
    class Enough(Exception):
        pass

    seen = []

    def on_check(step, value):
        seen.append((step, value))
        if step == 4:
            raise Enough

    with pytest.raises(Enough):
        fit(tiny_recipe("vae", eval_every=2, checkpoint_every=3), tiny, tmp_path / "r", steps=9, on_check=on_check)
    assert [step for step, _ in seen] == [2, 4] and open_run(tmp_path / "r").step == 3


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("dcgan", {"eval_every": 2}, "dcgan has no validation metric"),
        ("vae", {"patience": 3}, "patience=3 counts checks and eval_every=0 makes none"),
        ("vae", {"eval_every": -1}, "eval_every=-1: must be 0 or more"),
        ("vae", {"keep": 0}, "keep=0: must be 1 or more"),
    ],
)
def test_checks_that_cannot_be(tiny, tiny_recipe, tmp_path, name, settings, named):
    with pytest.raises(InputError, match=named):
        fit(tiny_recipe(name, **settings), tiny, tmp_path / "run", steps=1)
    assert not (tmp_path / "run").exists()


def test_a_set_without_validation_pictures(noise_set, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="the validation split has no pictures"):
        fit(tiny_recipe("vae", eval_every=2), noise_set(validation=0), tmp_path / "run", steps=1)
