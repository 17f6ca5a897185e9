"""The loop: however a run is cut into devices, dispatches and data routes, it is the same run."""

import json
import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.training.loop import LoopSettings, check_rhythm, loop
from prodgen_jax.training.parallel import NEVER, period, pick_devices, share

FLAGS = (
    "--xla_force_host_platform_device_count=8",
    "--xla_cpu_collective_call_terminate_timeout_seconds=600",  # on a busy core they wait long for each other
)
EIGHT = {"XLA_FLAGS": " ".join([os.environ["XLA_FLAGS"], *FLAGS])}
SCRIPT = Path(__file__).with_name("on_devices.py")


@pytest.fixture(scope="module")
def play(tiny, tiny_recipe):
    """play(method, stop, **settings) -> the ticks' (step, state on the host, metrics)."""

    def end(name, stop=4, state=None, **settings):
        made = tiny_recipe(name, **settings)
        method = made.build(Spec.of(tiny))
        ticks = loop(method, tiny.split("train"), made.loop, made.augment, seed=0, state=state, stop=stop)
        return [(tick.step, jax.device_get(tick.host_state()._replace(key=0)), tick.metrics) for tick in ticks]

    return end


def norm(tree):
    return np.sqrt(sum(np.sum(np.float64(leaf) ** 2) for leaf in jax.tree.leaves(tree)))


def apart(one, two):
    """How far two states are from each other, as a share of their norm."""
    one, two = ((state.params, state.ema, state.opt) for state in (one, two))
    return norm(jax.tree.map(lambda a, b: np.float64(a) - np.float64(b), one, two)) / norm(one)


def on_devices(finish, prepared, recipes, counts):
    """{label: {count of devices: (distance from the first label on one device, metrics)}}, as on_devices.py says."""
    found = json.loads(finish(SCRIPT, prepared.path, json.dumps(recipes), *counts, **EIGHT))
    assert found.pop("devices") == 8 and set(found) == set(recipes)
    assert all(set(ends) == set(map(str, counts)) for ends in found.values())
    return found


def agree(ends, wanted):
    """Adam takes the sign of a gradient near 0, so float error grows to some 1e-4; the gradient's norm is a metric."""
    for distance, metrics in ends.values():
        assert distance < 1e-3
        assert metrics == pytest.approx(wanted, rel=1e-3, abs=1e-4)


# These share nothing between devices that ddpm, dcgan and srgan do not, or have a test of their own.
TWINS = (
    *("progressive", "adagan", "cgan", "wgan_gp", "ae", "cvae", "vae", "edm", "flow", "consistency"),
    *("vaegan", "pix2pix", "pix2pixhd"),
)


FEW = ("dcgan", "vqvae", "ddpm")  # two players, a codebook from all devices' pictures, and one player
REST = tuple(name for name in METHODS if name not in TWINS + FEW)


@pytest.mark.slow
@pytest.mark.parametrize("names", [FEW, pytest.param(REST, marks=pytest.mark.long)], ids=["few", "rest"])
def test_one_device_equals_eight(tiny, tiny_recipe, finish, names):
    """Every loss that is written once."""
    recipes = {name: [name, tiny_recipe(name, width=16).settings()] for name in names}
    if names is FEW:  # and one noise, that all devices add alike
        recipes["private"] = ["vae", tiny_recipe("vae", width=16, dp_noise=1.0).settings()]
    for ends in on_devices(finish, tiny, recipes, (1, 8)).values():
        agree(ends, ends["1"][1])


WAYS = {"pmap": {}, "shard_map": {"parallel": "shard_map"}}
PARTS = {"whole": {}, "parts": {"accumulate": 2}}
GAMES = {"vae": {"flow": 0}, "wgan_gp": {"n_critic": 1}}  # one turn, and two


@pytest.mark.long
def test_both_ways_to_play_together_and_parts_of_a_batch_agree_on_one_two_and_eight_devices(tiny, tiny_recipe, finish):
    """Each of a game's twelve against whole batches by pmap on one device, all in one process."""
    recipes = {
        f"{name} {way} {part}": [name, tiny_recipe(name, width=16, **more, **WAYS[way], **PARTS[part]).settings()]
        for (name, more), way, part in product(GAMES.items(), WAYS, PARTS)
    }
    found = on_devices(finish, tiny, recipes, (1, 2, 8))
    for label, ends in found.items():
        agree(ends, found[f"{label.split()[0]} pmap whole"]["1"][1])


@pytest.fixture(scope="module")
def one_by_one(play):
    return play("dcgan", stop=7)


@pytest.mark.parametrize("stop", [6, 7])
def test_several_steps_per_dispatch_are_the_same_steps(play, one_by_one, stop):
    """R1 is due every second step; the last dispatch is shorter: one period, or one and a half."""
    several = play("dcgan", stop=stop, steps_per_dispatch=4)
    assert [step for step, *_ in several] == [4, stop]
    for step, state, metrics in several:
        _, wanted, last = one_by_one[step - 1]
        assert int(state.step) == step and apart(wanted, state) < 1e-4
        assert {k: float(metrics[k]) for k in last} == pytest.approx({k: float(v) for k, v in last.items()}, rel=1e-3)
    assert {"loss/r1"} == set(several[0][2]) - set(one_by_one[3][2])


def test_stream_equals_resident(play):
    resident, stream = (play("vae", route=route)[-1] for route in ("resident", "stream"))
    assert resident[0] == stream[0] == 4 and apart(resident[1], stream[1]) < 1e-5
    small = play("vae", stop=1, resident_mb=0)[-1]
    assert int(small[1].step) == 1


def test_another_seed_is_another_run(tiny, tiny_recipe):
    made = tiny_recipe("vae")
    method = made.build(Spec.of(tiny))
    ends = [next(loop(method, tiny.split("train"), made.loop, made.augment, seed=seed)) for seed in (0, 0, 1)]
    first, again, other = (jax.device_get(tick.host_state()._replace(key=0)) for tick in ends)
    assert apart(first, again) == 0 and apart(first, other) > 0.1


def test_steps_take_the_rhythm_of_the_turns(tiny, tiny_recipe):
    method = tiny_recipe("dcgan", r1_every=4).build(Spec.of(tiny))
    assert period(method) == 4
    check_rhythm(method, LoopSettings(batch=16, steps_per_dispatch=8), 8)
    for settings, devices, named in (
        (LoopSettings(batch=12), 8, "batch=12 .* 8 devices"),
        (LoopSettings(batch=0), 1, "batch=0"),
        (LoopSettings(batch=16, accumulate=3), 2, "accumulate=3 cannot cut 8 pictures"),
        (LoopSettings(batch=16, accumulate=0), 1, "accumulate=0"),
        (LoopSettings(steps_per_dispatch=6), 1, "steps_per_dispatch=6 .* 4"),
        (LoopSettings(steps_per_dispatch=0), 1, "steps_per_dispatch=0"),
    ):
        with pytest.raises(InputError, match=named):
            check_rhythm(method, settings, devices)


def test_devices_that_are_not_there():
    assert pick_devices(None) == tuple(jax.local_devices())
    for count in (0, -1, 99):
        with pytest.raises(InputError, match=f"devices={count}: this machine has {jax.local_device_count()}"):
            pick_devices(count)


def test_shares_put_a_batch_s_parts_side_by_side():
    batches = np.arange(24).reshape(2, 12)
    shares = share(batches, 4)
    assert shares.shape == (4, 2, 3)
    np.testing.assert_array_equal(shares[1], [[3, 4, 5], [15, 16, 17]])


# --- numbers that are not finite ----------------------------------------------------------------------------------


def spoiled(method, turn, at):
    """The method, with a loss of this turn that is no number at step `at` alone."""

    def loss(params, extra, batch, keys, step):
        value, aux = method.turns[turn].loss(params, extra, batch, keys, step)
        return jnp.where(step == at, jnp.nan, 1.0) * value, aux

    turns = [replace(t, loss=loss) if i == turn else t for i, t in enumerate(method.turns)]
    return replace(method, turns=tuple(turns))


@pytest.mark.parametrize("k", [1, 2])
def test_a_bad_step_is_found_at_its_turn_and_can_be_skipped(tiny, tiny_recipe, k):
    """The generator's turn, the last of three, is bad at the third step: the state is then still the second's."""
    made = tiny_recipe("dcgan", nan="skip", steps_per_dispatch=k)
    method, states = spoiled(made.build(Spec.of(tiny)), 2, 2), []
    for tick in loop(method, tiny.split("train"), made.loop, made.augment, seed=0, stop=4):
        states.append((int(tick.bad), jax.device_get(tick.host_state()._replace(key=0))))
    never, place = int(NEVER), 2 * 3 + 2
    assert [bad for bad, _ in states] == ([never, never, place, never] if k == 1 else [never, place])
    last = states[-1][1]
    assert int(last.step) == 4 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(last.params))
    if k == 1:
        assert apart(states[1][1], states[2][1]) == 0 < apart(states[2][1], last)
