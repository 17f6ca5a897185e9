"""The three Gaussian methods: their losses in closed form, their labels, their pictures, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.methods import Spec
from prodgen_jax.methods.denoiser import denoising_loss
from prodgen_jax.methods.diffusion import DDPMSettings, EDMSettings, FlowSettings, ddpm_frame, edm_frame, flow_frame
from prodgen_jax.methods.gaussian import TARGETS, ask, mix, straight

SIZE, NAMES = 8, ("ddpm", "edm", "flow")
DIT = {"network": "dit", "dit_width": 8, "dit_depth": 2, "dit_heads": 2}
LEAVES, LOSS, NORM = 73, 0.3573497, 0.1026596  # of the DDPM that stood alone, before there was a frame


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.fixture(scope="module")
def make(tiny_recipe):
    """make(name, **settings) -> (method on 8 px with two attributes, params of noise: fresh ones answer zero)."""

    def build(name="ddpm", **settings):
        method = tiny_recipe(name, **settings).build(Spec(SIZE, 3, {"type": 3, "colour": 2}))
        rng, shapes = np.random.default_rng(0), jax.eval_shape(method.init, jax.random.key(0))[0]
        return method, jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("f"), shapes)

    return build


def loss_of(method, n=8):
    """(params, type) -> the loss on n pictures of one type and no known colour."""
    keys = jax.random.split(jax.random.key(6), n)
    image = draw(5, n, SIZE, SIZE, 3).clip(-1, 1)

    def loss(params, kind):
        batch = {"image": image, "label": {"type": jnp.full(n, kind), "colour": jnp.full(n, -1)}}
        return method.turns[0].loss(params, {}, batch, keys, 0)[0]

    return loss


# --- the loss -----------------------------------------------------------------------------------------------------


def zero_loss(frame, image, n=4000):
    """The loss of a network that always answers zero."""
    keys = jax.random.split(jax.random.key(0), n)
    t, eps = jax.vmap(frame.draw_time)(keys), draw(1, n, *image.shape[1:])
    return float(denoising_loss(frame, lambda x, t: jnp.zeros_like(x), image, t, eps)[0].mean())


@pytest.mark.parametrize(
    "frame, expected",
    [
        (ddpm_frame(DDPMSettings(target="eps", min_snr=float("inf"))), 1),  # that of eps itself
        (edm_frame(EDMSettings(sigma_data=0.5)), 1),  # preconditioning leaves variance 1 to ask for
        (flow_frame(FlowSettings()), 1.25),  # of eps - x_0
        (flow_frame(FlowSettings(times="uniform")), 1.25),
    ],
)
def test_the_error_of_predicting_nothing(frame, expected):
    assert zero_loss(frame, 0.5 * draw(9, 4000, 8)) == pytest.approx(expected, rel=0.03)


def test_a_flow_s_loss_is_that_of_the_velocity_whatever_is_asked():
    """The same wrong estimate of x_0, given as the answer to each target."""
    x0, eps, t = draw(0, 50, 8), draw(1, 50, 8), jnp.linspace(0.05, 0.95, 50)
    point, wrong = straight(t).against(x0), draw(2, 50, 8)
    losses = []
    for name in ("velocity", "x0", "v"):
        target = TARGETS[name]
        answer = ask(target, wrong, (mix(x0, eps, point) - point.alpha * wrong) / point.sigma, point)
        frame = flow_frame(FlowSettings(target=name))
        losses.append(denoising_loss(frame, lambda x, t, answer=answer: answer, x0, t, eps)[0])
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-3)


@pytest.mark.parametrize("times, levels", [("logit_normal", (-0.7, 0.8)), ("uniform", (0.0, np.pi / np.sqrt(3)))])
def test_times_of_a_flow_are_noise_levels(times, levels):
    """ln(t / (1 - t)): as the settings say, and logistic for even times."""
    frame = flow_frame(FlowSettings(times=times, time_mean=-0.7, time_std=0.8))
    t = np.float64(jax.vmap(frame.draw_time)(jax.random.split(jax.random.key(0), 20_000)))
    seen = np.log(t / (1 - t))[t < 1]
    assert (seen.mean(), seen.std()) == pytest.approx(levels, abs=0.03)


def test_a_ddpm_is_trained_as_it_always_was(make):
    """Loss and gradient of a fixed batch as they were before the methods shared a frame; same tree, same draws."""
    method, params = make(condition="type")
    assert list(params) == ["unet"] and len(jax.tree.leaves(params)) == LEAVES
    loss, grads = jax.jit(jax.value_and_grad(loss_of(method)))(params, 1)
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(grads)))
    assert (float(loss), float(norm)) == pytest.approx((LOSS, NORM), rel=1e-4)


# --- labels -------------------------------------------------------------------------------------------------------


def test_labels_matter_unless_they_are_hidden(make):
    (shown, params), (hidden, _) = (make(condition="type", drop=drop) for drop in (0.0, 1.0))
    losses = [jax.jit(loss_of(method)) for method in (shown, hidden)]
    seen, unseen = ([float(loss(params, kind)) for kind in (-1, 0, 2)] for loss in losses)
    assert len(set(seen)) == 3 and unseen == pytest.approx([seen[0]] * 3, rel=1e-6)


def test_not_said_is_learned_beside_the_values(make):
    """With a share hidden, the rows of 'not said' and of the label get a gradient, and no other."""
    method, params = make(condition="type", drop=0.5)
    grads = jax.jit(jax.grad(loss_of(method)))(params, 1)
    (table,) = [g for path, g in jax.tree.leaves_with_path(grads) if "'type'" in jax.tree_util.keystr(path)]
    assert abs(table).sum(-1).astype(bool).tolist() == [True, False, True, False]


# --- dropout and weight decay -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("network", [{}, DIT])
def test_dropout_is_drawn_for_each_example_and_only_while_training(make, network):
    (plain, params), (dropping, _) = (make(dropout=rate, **network) for rate in (0.0, 0.4))
    keys, image = jax.random.split(jax.random.key(6), 8), draw(5, 8, SIZE, SIZE, 3).clip(-1, 1)

    def losses(method, parts):
        """The loss of each part of the 8 examples."""
        one = jax.vmap(lambda k, x: method.turns[0].loss(params, {}, {"image": x, "label": {}}, k, 0)[0])
        return jax.jit(one)(keys.reshape(parts, -1), image.reshape(parts, -1, SIZE, SIZE, 3))

    alone = losses(dropping, 8)
    np.testing.assert_allclose(losses(dropping, 2), alone.reshape(2, 4).mean(1), rtol=1e-3)
    assert float(abs(losses(plain, 8) - alone).min()) > 1e-5
    checks = [jax.jit(m.validate)(params, {"image": image, "label": {}}, keys)["denoise"] for m in (plain, dropping)]
    assert float(checks[0]) == pytest.approx(float(checks[1]), rel=1e-6)


def test_weight_decay_shrinks_what_has_no_gradient(make):
    method, params = make(weight_decay=0.5, lr=0.1, warmup=1)
    optim, group = method.optim["unet"], params["unet"]
    state, nothing = optim.init(group), jax.tree.map(jnp.zeros_like, group)
    for rate in (0.0, 0.1):  # the first step warms up
        updates, state = optim.update(nothing, state, group)
        jax.tree.map(lambda u, p, r=rate: np.testing.assert_allclose(u, -r * 0.5 * p, rtol=1e-5), updates, group)


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, network", [*((name, {}) for name in NAMES), *((name, DIT) for name in NAMES)])
def test_samples_follow_seed_and_condition(make, name, network):
    method, params = make(name, condition="type,colour", **network)
    assert method.conditions == ("type", "colour")
    keys, draw_images = jax.random.split(jax.random.key(1), 3), jax.jit(method.sample)
    images = [draw_images(params, keys, {"type": jnp.full(3, kind)}) for kind in (-1, 0, 2)]
    assert images[0].shape == (3, SIZE, SIZE, 3) and float(abs(images[0]).max()) <= 1
    assert not np.allclose(images[0], images[1], atol=1e-3) and not np.allclose(images[1], images[2], atol=1e-3)
    np.testing.assert_array_equal(images[0], draw_images(params, keys, {}))
    others = draw_images(params, jnp.concatenate([keys[:1], keys[:2]]), {"type": jnp.array([2, 0, 1])})
    np.testing.assert_allclose(others[0], images[2][0], atol=1e-3)
    both = draw_images(params, keys, {"type": jnp.full(3, 2), "colour": jnp.full(3, 1)})
    assert not np.allclose(both, images[2], atol=1e-3)  # a subset conditions, and another one otherwise


@pytest.mark.parametrize("name, network", [("ddpm", {}), ("edm", {}), ("flow", DIT)])
def test_a_task_gives_each_picture_its_source(make, name, network):
    """What is made of a source follows it, also under guidance, and noise gives variety."""
    method, params = make(name, task="grey", condition="type", guidance=2.0, **network)
    keys = jax.random.split(jax.random.key(1), 3)
    sources = method.source(draw(3, 3, SIZE, SIZE, 3).clip(-1, 1))
    assert np.ptp(np.asarray(sources), axis=-1).max() < 1e-5  # grey
    said, sampler = {"type": jnp.array([0, 1, 2])}, jax.jit(method.sample)
    made = sampler(params, keys, {"source": sources, **said})
    others = sampler(params, keys, {"source": sources[::-1], **said})
    assert not np.allclose(made[0], others[0], atol=1e-3)
    np.testing.assert_allclose(made[1], others[1], atol=1e-3)  # the middle one has the same source
    assert not np.allclose(made, sampler(params, keys[::-1], {"source": sources, **said})[::-1], atol=1e-3)
    assert method.edit is None
    batch = {"image": draw(5, 4, SIZE, SIZE, 3).clip(-1, 1), "label": {"type": jnp.zeros(4, int)}}
    slope = jax.grad(lambda p: method.turns[0].loss(p, {}, batch, jax.random.split(keys[0], 4), 0)[0])(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, setting, value, known",
    [
        ("ddpm", "target", "score", "eps, x0, v, velocity"),
        ("ddpm", "sampler", "euler", "ancestral, ddim, heun, dpmpp2m"),
        ("ddpm", "schedule", "sine", "cosine, linear"),
        ("ddpm", "condition", "brand", "type, colour"),
        ("edm", "sampler", "plms", "ancestral, ddim, heun, dpmpp2m, euler"),
        ("flow", "target", "eps", "velocity, x0, v"),
        ("flow", "times", "beta", "logit_normal, uniform"),
        ("edm", "network", "resnet", "unet, dit"),
        ("flow", "task", "upside_down", "grey, edges, mask, half, small2, small4"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(make, name, setting, value, known):
    with pytest.raises(InputError, match=f"{setting}={value} .*{known}"):
        make(name, **{setting: value})


def test_earlier_names_still_stand(make):
    make(sampler="ddpm")


@pytest.mark.parametrize(
    "name, settings, named",
    [
        ("ddpm", {"sample_steps": 41}, "sample_steps=41"),
        ("ddpm", {"least_snr": 6}, "least_snr=6.*min_snr=5"),
        ("flow", {"sample_steps": 0}, "sample_steps=0"),
        ("flow", {"time_std": -1.0}, "time_std=-1"),
        ("flow", {"drop_each": 1.5}, "drop_each=1.5"),
        ("flow", {"dropout": 1.0}, "dropout=1"),
        ("ddpm", {"weight_decay": -0.1}, "weight_decay=-0.1"),
        ("flow", {"attend": (3,)}, r"attend=\(3,\): there are levels 0 to"),
        ("edm", {"sigma_data": 0.0}, "sigma_data=0"),
        ("edm", {"sigma_max": 0.001}, "sigma_max=0.001"),
        ("ddpm", {**DIT, "dit_patch": 3}, "ddpm: dit_patch=3 must divide the pictures' 8 px"),
        ("ddpm", {**DIT, "dit_patch": 0}, "dit_patch=0"),
        ("flow", {**DIT, "dit_heads": 3}, "dit_heads=3: must divide dit_width=8"),
        ("flow", {**DIT, "dit_heads": 0}, "dit_heads=0"),
        ("edm", {**DIT, "dit_width": 6}, "dit_width=6: must be a multiple of 4"),
        ("edm", {"guidance": 2.0}, "guidance=2.0: this model is not conditional"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, name, settings, named):
    with pytest.raises(InputError, match=named):
        make(name, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_do_not_halve_are_refused(tiny_recipe, name):
    with pytest.raises(InputError, match=f"{name}: pictures of 10 px"):
        tiny_recipe(name, multipliers=(1, 2)).build(Spec(10))
