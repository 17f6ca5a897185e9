"""The accountant against another's figures and the exact curve; how batches are drawn; private runs at the door."""

import numpy as np
import pytest
from scipy.stats import norm

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.training.loop import check, loop
from prodgen_jax.training.privacy import drawn_by_coins, epsilon, noise_for, places_for, renyi, spent, usual_delta
from prodgen_jax.training.run import export, open_run

# (rate, noise, steps, delta, epsilon): dp-accounting 0.6.0, RdpAccountant over the same orders.
REFERENCE = [
    (0.01, 4.0, 10000, 1e-05, 1.03549007),
    (0.002, 1.1, 5000, 1e-06, 0.977601631),
    (0.256, 2.0, 300, 1e-05, 13.5825438),
    (0.02, 0.7, 200, 1e-05, 5.94665),
    (1.0, 5.0, 10, 1e-05, 2.81410917),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "wanted"), REFERENCE)
def test_epsilon_is_that_of_another_accountant(rate, noise, steps, delta, wanted):
    assert epsilon(rate, noise, steps, delta) == pytest.approx(wanted, rel=1e-6)


def exact(noise, delta):
    """The least epsilon of one Gaussian step that draws every photo. Balle & Wang 2018, theorem 8, by bisection."""
    low, high = 0.0, 100.0
    for _ in range(100):
        e = (low + high) / 2
        missed = norm.cdf(0.5 / noise - e * noise) - np.exp(e) * norm.cdf(-0.5 / noise - e * noise)
        low, high = (e, high) if missed > delta else (low, e)
    return high


@pytest.mark.parametrize("noise", [0.8, 2.0, 8.0])
def test_epsilon_is_a_bound_and_not_a_loose_one(noise):
    """Steps that draw every photo add up to one with less noise."""
    assert exact(noise, 1e-5) < epsilon(1.0, noise, 1, 1e-5) < 1.2 * exact(noise, 1e-5)
    assert epsilon(1.0, noise * 3, 9, 1e-5) == pytest.approx(epsilon(1.0, noise, 1, 1e-5))


def test_epsilon_grows_with_steps_and_rate_and_falls_with_noise():
    usual = epsilon(0.01, 1.0, 1000, 1e-5)
    assert epsilon(0.01, 1.0, 2000, 1e-5) > usual and epsilon(0.02, 1.0, 1000, 1e-5) > usual
    assert epsilon(0.01, 1.2, 1000, 1e-5) < usual and epsilon(0.01, 1.0, 1000, 1e-6) > usual
    assert (renyi(0.999999, 1.0) <= renyi(1.0, 1.0) * (1 + 1e-6)).all()


def test_the_noise_for_an_epsilon():
    assert epsilon(0.02, noise_for(3.0, 0.02, 500, 1e-5), 500, 1e-5) == pytest.approx(3.0, rel=1e-4)
    for wanted in (0.0, 1e-9):
        with pytest.raises(InputError, match="epsilon="):
            noise_for(wanted, 1.0, 10**6, 1e-5)


def test_each_photo_is_drawn_by_a_coin_of_its_own():
    n, batch, steps = 500, 20, 2000
    places = places_for(n, batch)
    rows = drawn_by_coins(n, batch, 3, places)
    drawn = [rows(step) for step in range(steps)]
    counts = np.array([(row >= 0).sum() for row in drawn])
    assert all(len(row) == places and len(set(row[row >= 0])) == (row >= 0).sum() for row in drawn)
    assert counts.max() < places and counts.mean() == pytest.approx(batch, rel=0.02)
    assert counts.var() == pytest.approx(batch * (1 - batch / n), rel=0.1)  # of a binomial
    often = np.bincount(np.concatenate(drawn)[np.concatenate(drawn) >= 0], minlength=n)
    assert abs(often - steps * batch / n).max() < 5 * np.sqrt(steps * batch / n)
    np.testing.assert_array_equal(drawn[5], drawn_by_coins(n, batch, 3, places)(5))
    halves = [
        drawn_by_coins(n, batch, 3, places, part)(5) for part in (slice(0, places // 2), slice(places // 2, None))
    ]
    np.testing.assert_array_equal(np.concatenate(halves), drawn[5])
    assert places_for(10, 64) == 16 and (drawn_by_coins(10, 64, 0, 16)(0) >= 0).sum() == 10
    assert places_for(n, batch, 8) == places and places_for(n, batch, 3) % 24 == 0


@pytest.mark.slow
def test_a_private_run_through_the_door(tiny, tmp_path, capsys):
    settings = ("width=8", "latent=4", "batch=8", "sheet_images=4", "dp_noise=1.5")
    out = tmp_path / "run"
    assert main(["train", "vae", str(tiny.path), "--out", str(out), "--steps", "1", "--set", "dp_noise=1"]) == 2
    assert "seed=0: whoever guesses it" in capsys.readouterr().err and not out.exists()
    assert main(["train", "vae", str(tiny.path), "--out", str(out), "--steps", "3", "--seed", "7712345",
                 *(f"--set={one}" for one in settings)]) == 0  # fmt: skip
    run = open_run(out)
    wanted = spent(40, 8, 1.5, 3)
    assert run.promise == wanted and wanted["delta"] == pytest.approx(usual_delta(40), rel=1e-3)
    assert f"DP-SGD: epsilon {wanted['epsilon']:.3g} at delta 0.0025" in capsys.readouterr().out
    export(run, tmp_path / "model.safetensors")
    told = open_run(tmp_path / "model.safetensors")
    assert told.promise == wanted and "seed" not in told.config
    export(told, tmp_path / "again.safetensors")
    assert open_run(tmp_path / "again.safetensors").promise == wanted
    assert "7712345" not in (tmp_path / "model.safetensors").read_bytes().decode("latin1")


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("dcgan", {"dp_noise": 1.0}, "methods of one turn .* this plays critic, generator"),
        ("vqvae", {"dp_noise": 1.0}, "dp_noise=1.0: goes with methods of one turn"),
        ("vae", {"dp_noise": -1.0}, "dp_noise=-1.0: must be above 0"),
        ("vae", {"dp_noise": 1.0, "dp_clip": 0.0}, "dp_clip=0.0: must be above 0"),
        ("vae", {"dp_noise": 1.0, "accumulate": 2}, "accumulate=1"),
        ("vae", {"dp_noise": 1.0, "route": "stream"}, "resident route"),
    ],
)
def test_what_does_not_go_with_it_is_refused(tiny, tiny_recipe, name, settings, named):
    made = tiny_recipe(name, **settings)
    with pytest.raises(InputError, match=named):
        check(made.build(Spec.of(tiny)), tiny.split("train"), made.loop, made.augment, 1)


def test_however_large_a_split_is_its_empty_rows_are_told(tiny, tiny_recipe, monkeypatch):
    """By the resident route alone; `auto` would stream a split of more than resident_mb."""
    opened = []

    def stop(split, rows, route, memory):
        opened.append((route, memory))
        raise InterruptedError

    monkeypatch.setattr("prodgen_jax.training.loop.open_feed", stop)
    for noise in (0.0, 1.0):
        made = tiny_recipe("vae", dp_noise=noise, resident_mb=0)
        ticks = loop(made.build(Spec.of(tiny)), tiny.split("train"), made.loop, made.augment, seed=0)
        with pytest.raises(InterruptedError):
            next(ticks)
    assert opened == [("auto", 0), ("resident", 0)]


def test_a_run_that_is_not_private_promises_nothing(run):
    assert run.promise is None
