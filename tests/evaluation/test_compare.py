"""Methods compared within one budget: resumable trial by trial, work counted, settings counted, mistakes named."""

import json
from itertools import islice

import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import compare as module
from prodgen_jax.evaluation import runs
from prodgen_jax.evaluation.compare import Comparison, compare, flop_by_step, steps_for, summarize, tag
from prodgen_jax.evaluation.measures import measure
from prodgen_jax.methods import Spec
from prodgen_jax.training.features import feature_network
from prodgen_jax.training.recipe import recipe

TINY = {"width": "8", "latent": "4", "batch": "16", "sheet_images": "1"}


@pytest.fixture(scope="module")
def data(noise_set):
    return noise_set(train=80, validation=8, test=80)


@pytest.fixture(scope="module")
def yardstick(data):
    return feature_network(data, steps=2)


def wanted(**changes):
    settings = {"dcgan": {**TINY, "r1_every": "1"}, "vae": {**TINY, **changes.pop("vae", {})}}
    usual = {"methods": ("dcgan", "vae"), "minutes": 0.02, "seeds": 2, "samples": 64, "settings": settings}
    return Comparison(**{**usual, **changes})


@pytest.fixture(scope="module", autouse=True)
def light():
    """Records of the measures alone: what a whole one costs and holds is tested elsewhere."""

    def evaluate_run(run, prepared, *, n, seed, network, name):
        images, rng = runs.draw_asked(run, prepared, n, seed)[0], np.random.default_rng(seed)
        found = measure(network.features(prepared.split("test").images), network.features(images), rng)
        return {"name": name, "samples": found, "copies": {"copies": 0, "of": n}}, images

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "evaluate_run", evaluate_run)
        yield


@pytest.fixture(scope="module")
def done(data, yardstick, tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    return out, compare(data, out, wanted(flop=True), network=yardstick)


@pytest.mark.slow
def test_one_table_and_a_frontier(done):
    out, found = done
    assert json.loads((out / "compare.json").read_text()) == json.loads(json.dumps(found))
    assert (out / "frontier.png").stat().st_size > 5000
    for methods in (found["budgets"]["time"], found["budgets"]["work"]):
        for at in methods.values():
            mean, half = at["fcd"]
            assert mean > 0 and half >= 0 and at["seeds"] == 2 and at["tried"] == 1 and at["images_per_second"][0] > 0
    text = (out / "compare.md").read_text()
    assert "0.02 minutes" in text and "settings tried" in text and text.count("| dcgan |") == 4
    assert text.count("does it hold?") == 2 and text.count("| yes |") + text.count("| not sure |") == 2


@pytest.mark.parametrize("name", ["cyclegan", "adain"])
def test_what_draws_no_catalog_is_refused_before_anything_is_trained(data, yardstick, tmp_path, name):
    with pytest.raises(InputError, match=f"a {name} draws nothing like the whole catalog"):
        compare(data, tmp_path, wanted(methods=("vae", name), settings={}), network=yardstick)
    assert not list(tmp_path.iterdir())


def test_work_is_equal(done, data):
    work = done[1]["budgets"]["work"]
    least = min(at["flop"][0] for at in work.values())
    for name, at in work.items():
        largest = max(islice(flop_by_step(wanted().check()[name], Spec.of(data)), 16))
        assert at["flop"][0] - least < largest


def test_work_counts_what_grows(data):
    spec = Spec.of(data)
    small, large = (wanted(vae={"batch": batch}).check()["vae"] for batch in ("16", "32"))
    assert next(flop_by_step(large, spec)) == pytest.approx(2 * next(flop_by_step(small, spec)), rel=0.2)
    assert steps_for(10 * next(flop_by_step(small, spec)), small, spec) == 10


def test_work_grows_with_the_picture():
    """A network that grows: its first steps are cheaper, and the sum is what the turns cost that were played."""
    made = recipe("progressive", phase=4, width=8, batch=8)
    steps = list(islice(flop_by_step(made, Spec(16)), 6))
    assert 2 * steps[1] < steps[5] and steps[1] == steps[3] and steps[0] > steps[1]
    assert steps_for(sum(steps), made, Spec(16)) == 6 and steps_for(sum(steps) - 1, made, Spec(16)) == 5


def test_what_is_done_is_not_done_again(done, data, yardstick, monkeypatch):
    out, found = done
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("trained again"))
    again = compare(data, out, wanted(), network=yardstick)
    assert again["budgets"]["time"] == found["budgets"]["time"]


def test_a_stop_between_trials_loses_nothing(data, yardstick, tmp_path, monkeypatch):
    calls, real = [], module.fit

    def stopping(made, *rest, **options):
        calls.append(made.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(made, *rest, **options)

    monkeypatch.setattr(module, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        compare(data, tmp_path, wanted(seeds=1), network=yardstick)
    compare(data, tmp_path, wanted(seeds=1), network=yardstick)
    assert calls == ["dcgan", "vae", "vae"]


def test_other_settings_stand_beside_and_are_counted(tmp_path):
    one, two = (wanted(vae={"latent": size}).check()["vae"] for size in ("4", "6"))
    assert tag(one) != tag(two) and tag(one) == tag(wanted().check()["vae"])
    for made in (one, two):
        (tmp_path / f"vae-{tag(made)}").mkdir()
    costs = {"steps": 1, "seconds": 1.0, "flop": 1.0, "images_per_second": 1.0, "parameters": 5}
    record = {"samples": {"fcd": 1.0}, "copies": {"copies": 0}, "trial": costs}
    found = summarize({"vae": [record]}, tmp_path)["vae"]
    assert found["tried"] == 2 and found["fcd"] == (1.0, None)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"methods": ("gan",), "settings": {}}, "method 'gan'"),
        ({"methods": (), "settings": {}}, "--methods"),
        ({"methods": ("vae", "vae"), "settings": {}}, "each once"),
        ({"minutes": 0}, "minutes=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"methods": ("vae",)}, "dcgan"),
        ({"vae": {"latents": "4"}}, "'latents'"),
    ],
)
def test_what_cannot_be_compared_is_named_before_training(tmp_path, changes, named):
    with pytest.raises(InputError, match=named):
        compare(None, tmp_path / "out", wanted(**changes))
    assert not (tmp_path / "out").exists()


def test_conditional_runs_are_asked_for_what_the_catalog_holds(tiny, tiny_recipe, tmp_path):
    from prodgen_jax.training.fit import fit

    run = fit(tiny_recipe("ddpm", condition="type"), tiny, tmp_path / "run", steps=1)
    images, asked = runs.draw_asked(run, tiny, 5, seed=0)
    assert images.shape == (5, 8, 8, 3) and set(asked) == {"type"} and asked["type"].max() < 3
    assert runs.draw_asked(run, tiny, 5, seed=0)[1]["type"].tolist() == asked["type"].tolist()
