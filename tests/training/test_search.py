"""A search: what it proposes, that a stop changes nothing, and that its best settings are what train takes."""

import json

import pytest

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.search_figure import search_figure
from prodgen_jax.training import search as module
from prodgen_jax.training.recipe import recipe
from prodgen_jax.training.run import open_run
from prodgen_jax.training.search import search
from prodgen_jax.training.space import best_settings, default_space, distributions

SPACE = {"lr": {"low": 1e-6, "high": 1e-2, "log": True}}
SMALL = {"width": 8, "latent": 4, "flow": 0, "batch": 16, "sheet_images": 4, "log_every": 4}


@pytest.fixture(scope="module")
def found(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "straight"
    return out, search("vae", tiny, out, trials=3, steps=4, space=SPACE, seed=3, **SMALL)


@pytest.mark.slow
def test_every_trial_is_logged_and_the_best_is_one_of_them(found, tiny):
    out, trials = found
    assert [trial["trial"] for trial in trials] == [0, 1, 2] and {t["state"] for t in trials} == {"complete"}
    assert json.loads((out / "trials.json").read_text()) == trials
    best = json.loads((out / "best.json").read_text())
    lowest = min(trials, key=lambda trial: trial["value"])
    assert (best["trial"], best["value"], best["metric"]) == (lowest["trial"], lowest["value"], "bits_per_dim")
    assert best["settings"] == {**SMALL, **lowest["settings"]} and best["method"] == "vae"
    rates = [trial["settings"]["lr"] for trial in trials]
    assert len(set(rates)) == 3 and all(1e-6 <= rate <= 1e-2 for rate in rates)
    run = open_run(out / "trials" / "0001")
    assert run.step == 4 == trials[1]["step"] and run.recipe.method.lr == rates[1] and run.recipe.fit.eval_every == 1


@pytest.mark.slow
def test_a_search_that_was_stopped_finds_the_same(found, tiny, tmp_path, monkeypatch):
    """Stopped inside its second trial, after two of its four steps."""
    _, straight = found
    real, calls = module.fit, []

    def stopped(*arguments, **named):
        calls.append(named["steps"])
        if len(calls) == 2:
            real(*arguments, **{**named, "steps": 2})
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        search("vae", tiny, tmp_path / "s", trials=3, steps=4, space=SPACE, seed=3, **SMALL)
    again = search("vae", tiny, tmp_path / "s", trials=3, steps=4, space=SPACE, seed=3, resume=True, **SMALL)
    assert again == straight
    more = {"trials": 3, "steps": 4, "space": SPACE, "resume": True, **SMALL}
    with pytest.raises(InputError, match="cannot go on with another search \\(seed: 3 -> 4\\)"):
        search("vae", tiny, tmp_path / "s", seed=4, **more)
    with pytest.raises(InputError, match="there is a search already; add --resume"):
        search("vae", tiny, tmp_path / "s", seed=3, **{**more, "resume": False})


def test_a_trial_that_is_worse_than_the_median_is_pruned_and_one_that_cannot_be_built_has_failed(
    tiny, tmp_path, monkeypatch, capsys
):
    """Values by trial stand in for training: five good ones, then a bad one. A batch of 7 cannot be cut in two."""
    values = iter([1.0, 1.1, 1.2, 1.3, 1.4, 9.0])

    def fit(made, prepared, out, *, on_check, **_):
        value = next(values)
        on_check(1, value)
        return type("Run", (), {"params": value, "step": 4})

    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "Validation", lambda *_: lambda params: ("bits_per_dim", params))
    space = {"batch": {"choices": [7, 16]}}
    more = {"width": 8, "latent": 4, "accumulate": 1}
    trials = search("vae", tiny, tmp_path / "s", trials=6, steps=4, space={"lr": SPACE["lr"]}, **more)
    assert [trial["state"] for trial in trials] == ["complete"] * 5 + ["pruned"] and trials[5]["value"] is None
    assert len(search_figure(trials, "bits_per_dim").axes) == 2
    values = iter([1.0] * 9)
    trials = search("vae", tiny, tmp_path / "t", trials=6, steps=4, space=space, **{**more, "accumulate": 2})
    failed = [trial["settings"]["batch"] for trial in trials if trial["state"] == "failed" or trial["state"] == "fail"]
    assert set(failed) == {7} and "accumulate=2 cannot cut 7 pictures" in capsys.readouterr().err


@pytest.mark.slow
def test_the_door(tiny, tmp_path, capsys):
    """From a space in a file to a run with the best settings."""
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    out, about = tmp_path / "s", ("--trials", "1", "--steps", "2", "--space", str(tmp_path / "space.json"))
    assert main(["search", "vae", str(tiny.path), "--out", str(out), *about, *settings]) == 0
    said = capsys.readouterr()
    assert "1 trials (1 complete)" in said.out and f"--settings {out}/best.json --preset cpu" in said.out
    assert (
        "trial 0, the last is 0: lr=" in said.err
        and "after 2 steps" in said.err
        and (out / "search.png").stat().st_size > 1000
    )
    end = ["--out", str(tmp_path / "run"), "--steps", "1", "--settings", str(out / "best.json")]
    assert main(["train", "vae", str(tiny.path), *end]) == 0
    best = json.loads((out / "best.json").read_text())["settings"]
    assert open_run(tmp_path / "run").recipe.method.lr == best["lr"]
    assert main(["train", "ddpm", str(tiny.path), *end]) == 2 and "'method': 'ddpm'" in capsys.readouterr().err


def test_one_bad_trial_does_not_flatten_the_plot():
    """Five good values and one a thousand times as large: the axis shows the good ones, the bad one is at its edge."""
    values = [3.0, 3.2, 2.9, 3.1, 2.8, 4000.0]
    settings = [{"lr": 10.0**-i, "width": width} for i, width in enumerate((16, 32, 64, 16, 32, 64))]
    about = [
        {"trial": i, "state": "complete", "value": value, "step": 1, "settings": settings[i]}
        for i, value in enumerate(values)
    ]
    figure = search_figure(about, "loss")
    first, rates, widths = figure.axes
    for axis in figure.axes:
        assert axis.get_ylim()[0] < 2.8 and 3.2 < axis.get_ylim()[1] < 5
        drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
        assert len(drawn["completed"]) == 5 and len(drawn["off the scale"]) == 1 and drawn["best"][0, 1] == 2.8
    assert rates.get_xscale() == "log" and [label.get_text() for label in widths.get_xticklabels()] == [
        "16",
        "32",
        "64",
    ]
    assert len(search_figure(about[:1], "loss").axes) == 3


def test_a_default_space_is_one_for_each_method():
    assert set(default_space("vae")) == {"lr", "width"} and set(default_space("dcgan")) > {"generator_lr", "critic_lr"}
    assert default_space("vae")["width"] == {"choices": [16, 32, 64]}
    assert set(default_space("ddpm", "unet")) == {"lr", "width"}
    assert default_space("ddpm", "dit")["dit_width"] == {"choices": [96, 192, 384]}


@pytest.mark.parametrize(
    ("space", "named"),
    [
        ({}, "nothing to search"),
        ({"rate": {"low": 1, "high": 2}}, "setting 'rate' is not known for vae"),
        ({"lr": {"low": 2, "high": 1}}, "space: lr: "),
        ({"lr": {"low": 2}}, "space: lr: "),
        ({"lr": 3}, "space: lr: "),
        ({"latent": {"choices": []}}, "space: latent: "),
    ],
)
def test_spaces_that_cannot_be(space, named):
    with pytest.raises(InputError, match=named):
        distributions(space, recipe("vae"))


def test_searches_that_cannot_be(tiny, tmp_path):
    out = tmp_path / "s"
    with pytest.raises(InputError, match="dcgan has no validation metric"):
        search("dcgan", tiny, out, trials=1, steps=1)
    with pytest.raises(InputError, match="trials=0"):
        search("vae", tiny, out, trials=0, steps=1)
    with pytest.raises(InputError, match="--steps or --minutes"):
        search("vae", tiny, out, trials=1)
    with pytest.raises(InputError, match="lr is both set for every trial and searched"):
        search("vae", tiny, out, trials=1, steps=1, space=SPACE, lr=0.1)
    assert not out.exists()
    (tmp_path / "best.json").write_text("[]")
    with pytest.raises(InputError, match="best.json: expected a JSON object"):
        best_settings(tmp_path / "best.json", "vae")
