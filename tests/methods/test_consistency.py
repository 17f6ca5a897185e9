"""Few steps: a student leaps where its teacher walks, keeps to what it was told, and needs a teacher."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.consistency import TEACHER, ConsistencySettings, leading, step_to
from prodgen_jax.methods.gaussian import Point, cosine, table_path
from prodgen_jax.methods.samplers import Here, renoise
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run
from prodgen_jax.training.start import begun_with


@pytest.fixture(scope="module")
def teacher(two_colors, tiny_recipe, tmp_path_factory):
    made = tiny_recipe("ddpm", timesteps=100, width=16, condition="colour", batch=32, log_every=50, sheet_every=0)
    return fit(made, two_colors, tmp_path_factory.mktemp("runs") / "teacher", steps=250)


@pytest.fixture(scope="module")
def student(teacher, two_colors, tmp_path_factory):
    from prodgen_jax.training.recipe import recipe

    own = {"batch": 32, "log_every": 50, "sheet_every": 0, "sheet_images": 4, "lr": 3e-4, "points": 10, "leaps": 2}
    made = recipe("consistency", **{**begun_with(teacher, "consistency"), **own, "sample_steps": 2})
    return fit(made, two_colors, tmp_path_factory.mktemp("runs") / "student", steps=200, start=teacher)


@pytest.mark.long
def test_its_leaps_end_nearer_to_the_curve_s_end_than_as_many_steps_of_its_teacher(teacher, student):
    """All from the same noise, told the same; the curve is the teacher's way in as many steps as it was shown."""

    def draw(run, steps):
        how = {"sampler": "ddim", "sample_steps": steps}
        return sample(run, 64, seed=1, where={"colour": "red"}, settings=how)[0].astype(float)

    end = draw(teacher, 10)
    assert np.abs(draw(student, 2) - end).mean() < 0.85 * np.abs(draw(teacher, 2) - end).mean()


@pytest.mark.long
def test_it_draws_what_it_is_told(off_color, student):
    for i, name in enumerate(("red", "blue")):
        images = sample(student, 16, where={"colour": name}, settings={"sample_steps": 2})[0]
        assert (off_color(images)[:, i] < 40).mean() > 0.8


@pytest.mark.long
def test_the_teacher_stays_and_settings_are_inherited(teacher, student):
    group = "unet"
    old, kept, moved = (
        named(p) for p in (teacher.params[group], student.params[group + TEACHER], student.params[group])
    )
    assert all(np.array_equal(old[name], kept[name]) for name in old)
    assert not all(np.array_equal(old[name], moved[name]) for name in old)
    s, usual = student.recipe.method, ConsistencySettings()
    assert (s.width, s.timesteps, s.condition) == (16, 100, ("colour",))
    assert (s.sampler, s.sample_steps) == (usual.sampler, 2)


def test_renoise_puts_fresh_noise_on_the_estimate():
    p = Point(*(jnp.float32(v) for v in (0.5, 0.6, 0.8, 0.0, 0.0)))
    x, x0, noise = (jax.random.normal(jax.random.key(i), (2, 4)) for i in range(3))
    np.testing.assert_allclose(renoise(Here(x, x0, x0, noise, p, p, p)), 0.6 * x0 + 0.8 * noise, atol=1e-6)


def test_what_leads_to_a_point_is_what_a_step_of_ddim_came_from():
    now, end = (table_path(cosine(100))(jnp.int32(t)) for t in (90, 40))
    x, x0 = (jax.random.normal(jax.random.key(i), (2, 4)) for i in range(2))
    np.testing.assert_allclose(leading(x, step_to(x, x0, now, end), now, end), x0, atol=1e-5)


def test_without_a_teacher_it_is_refused(two_colors, tiny_recipe, tiny, run, tmp_path, capsys):
    with pytest.raises(InputError, match="consistency learns from a trained ddpm: say which by --from RUN"):
        fit(tiny_recipe("consistency"), tiny, tmp_path / "a", steps=1)
    command = ["train", "consistency", str(two_colors.path), "--out", str(tmp_path / "b"), "--steps", "1"]
    assert main([*command, "--from", str(run.path)]) == 2
    assert "a vae, and a consistency is to be trained" in capsys.readouterr().err


@pytest.mark.long
def test_command(teacher, two_colors, tmp_path):
    out = tmp_path / "run"
    command = ["train", "consistency", str(two_colors.path), "--from", str(teacher.path), "--out", str(out)]
    assert main([*command, "--steps", "2", "--set", "batch=16", "--set", "sheet_images=4"]) == 0
    assert open_run(out).recipe.method.timesteps == 100


REFUSED = [
    ({"points": 0}, "points=0: must be 1"),
    ({"points": 6, "leaps": 4}, "leaps=4: must divide points=6"),
    ({"huber": 0}, "huber=0.0: must"),
]


@pytest.mark.parametrize("settings, message", REFUSED)
def test_what_is_refused(tiny_recipe, settings, message):
    from prodgen_jax.methods import Spec

    with pytest.raises(InputError, match=message):
        tiny_recipe("consistency", **settings).build(Spec(8))
