"""Latent diffusion: two spans, codes that are a unit wide, and a denoiser that knows no change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.core import due, init_state
from prodgen_jax.methods.latent import Autoencoder, LatentSettings, follow, latent, scale_of
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.loop import loop
from prodgen_jax.training.start import begun_with

SMALL = {"multipliers": (1,), "attend": (0,), "width": 8, "code_width": 8, "sample_steps": 3}


def settings(**more):
    return LatentSettings(**{**SMALL, **more})


def test_the_autoencoder_plays_first_and_then_stays():
    method = latent(settings(first_stage=3), Spec(8))
    assert [turn.trains for turn in method.turns] == ["autoencoder", "unet"]
    assert [due(method, step) for step in (0, 2, 3, 99)] == [(True, False)] * 2 + [(False, True)] * 2


def test_a_span_s_end_leaves_the_autoencoder_as_it_is(tiny, tiny_recipe):
    made = tiny_recipe("latent", first_stage=2)
    ticks = loop(made.build(Spec.of(tiny)), tiny.split("train"), made.loop, made.augment, seed=0, stop=4)
    ends = [jax.device_get(tick.host_state().averaged) for tick in ticks]
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), ends[1], ends[3])
    assert all(jax.tree.leaves(same["autoencoder"])) and all(jax.tree.leaves(same["extra"]))
    assert not all(jax.tree.leaves(same["unet"]))


@pytest.mark.slow
def test_a_run_that_begins_from_another_keeps_its_codes(tiny, tiny_recipe, tmp_path):
    first = fit(tiny_recipe("latent", first_stage=2, sheet_every=0), tiny, tmp_path / "first", steps=4)
    made = tiny_recipe("latent", **begun_with(first, "latent"), sheet_every=0)
    run = fit(made, tiny, tmp_path / "run", steps=2, start=first)
    same = jax.tree.map(np.array_equal, first.params, run.params)
    assert made.method.first_stage == 0 and all(jax.tree.leaves((same["autoencoder"], same["extra"])))
    assert not all(jax.tree.leaves(same["unet"]))
    with pytest.raises(InputError, match="first_stage=0: a latent has it only by --from RUN"):
        fit(made, tiny, tmp_path / "alone", steps=1)


def test_codes_come_to_a_unit_s_width():
    """Running statistics of codes of any mean and deviation."""
    rng = np.random.default_rng(0)
    extra = {"mean": jnp.zeros(2), "square": jnp.ones(2)}
    for _ in range(1500):
        extra = follow(extra, jnp.asarray(rng.normal((3.0, -1.0), (0.1, 20.0), (4, 4, 4, 2)), jnp.float32))
    mean, deviation = scale_of(extra)
    np.testing.assert_allclose(mean, (3.0, -1.0), atol=0.6)
    np.testing.assert_allclose(deviation, (0.1, 20.0), rtol=0.08)


def test_the_scale_is_undone(monkeypatch):
    """The denoiser sees standard codes, and the decoder what they were: the pair's parts meet at one scale."""
    s, spec = settings(), Spec(8)
    method, seen = latent(s, spec), []
    state = init_state(method, jax.random.key(0))
    extra = {"mean": jnp.full(s.code, 5.0), "square": jnp.full(s.code, 29.0)}  # deviation 2
    monkeypatch.setattr(Autoencoder, "decode", lambda self, params, z: seen.append(z) or (jnp.zeros((2, 8, 8, 3)), 0))
    keys = jax.random.split(jax.random.key(1), 2)
    for now in (state.extra, extra):
        method.sample({**state.averaged, "extra": now}, keys, {})
    np.testing.assert_allclose(seen[1], 5 + 2 * seen[0], atol=1e-4)


@pytest.mark.long
def test_what_is_asked_for_is_drawn(two_colors, off_color, tiny_recipe, tmp_path):
    """Plain pictures of two colors: both come, and each where it is asked for."""
    more = {"first_stage": 150, "code": 2, "sample_steps": 12, "width": 16, "log_every": 50, "sheet_every": 0}
    run = fit(tiny_recipe("latent", condition="colour", **more), two_colors, tmp_path / "run", steps=500)
    for kind, color in enumerate(("red", "blue")):
        assert (off_color(sample(run, 16, where={"colour": color})[0]).argmin(-1) == kind).mean() > 0.8
    free = off_color(sample(run, 48)[0])
    assert free.min(-1).mean() < 40 and np.bincount(free.argmin(-1), minlength=2).min() > 8


@pytest.mark.parametrize(
    ("more", "size", "named"),
    [
        ({"first_stage": -1}, 8, "first_stage=-1"),
        ({"task": "grey"}, 8, "task=grey.*train ddpm"),
        ({"code": 0}, 8, "code=0"),
        ({}, 10, "10 px are not a multiple of 4"),
        ({"multipliers": (1, 2)}, 12, "codes.*3 px cannot be halved to 2 levels"),
    ],
)
def test_what_cannot_be(more, size, named):
    with pytest.raises(InputError, match=named):
        latent(settings(**more), Spec(size))
