"""Every method's step and sampler are lowered for TPU and for CUDA, which needs neither: nothing CPU-only slips in."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from prodgen_jax.data.captions import PHRASINGS, TEXT, unsaid
from prodgen_jax.data.loader import make_batch
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import init_state
from prodgen_jax.methods.private import private
from prodgen_jax.methods.samplers import Kept
from prodgen_jax.training.accumulate import accumulated
from prodgen_jax.training.parallel import Way, compile_steps, period, pick_devices, shard_mapped
from prodgen_jax.training.privacy import marked

PLATFORMS = ("tpu", "cuda")
SPEC = Spec(8, 3, {"type": 3, "colour": 2}, words=9)
ROWS, BATCH, PICTURES = 12, 4, 2  # of the split on the device, of a step, of a call of the sampler
MOVED = {"rotate": 10.0, "zoom": 0.1, "shift": 0.1, "brightness": 0.1, "contrast": 0.1}
VARIANTS = [
    *((name, {}) for name in METHODS),
    ("dcgan", {"spectral": True, "stddev_group": 2, "diffaugment": "color,translation,cutout"}),
    ("vae", {"flow": 2, "accumulate": 2, "nan": "skip", **MOVED}),
    ("vae", {"dp_noise": 1.0}),
    ("ddpm", {"condition": "type,colour", "guidance": 2.0, "sampler": "ancestral"}),
    ("edm", {"condition": "type,text", "guidance": 2.0}),
    ("flow", {"network": "dit", "condition": "text", "dit_width": 16, "dit_depth": 1, "dit_heads": 2, "remat": True}),
]


def lowering(play, devices):
    """As `shard_mapped`, but what it is called with is shapes, and what it gives is the exported function."""
    return lambda *shapes: export.export(shard_mapped(play, devices), platforms=PLATFORMS)(*shapes)


def labels(n, *ways):
    """The shapes of n pictures' labels; a caption in several ways where a split has them."""
    said = {name: unsaid(name, n) for name in SPEC.conditions}
    return {name: jax.ShapeDtypeStruct((n, *(ways * (x.ndim - 1)), *x.shape[1:]), x.dtype) for name, x in said.items()}


def shapes(tree, *before):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*before, *x.shape), x.dtype), tree)


@pytest.fixture(scope="module")
def lower_steps():
    """lower_steps(method, made, first step, k): what `training.loop` compiles for k steps on one device, lowered."""

    def lower(method, made, step, k):
        images = jax.ShapeDtypeStruct((ROWS, SPEC.size, SPEC.size, 3), jnp.uint8)
        label = {name: x for name, x in labels(ROWS, PHRASINGS).items() if name != TEXT or name in method.conditions}
        source = {"image": images, "label": label}
        state = shapes(jax.eval_shape(lambda: init_state(method, jax.random.key(0))), 1)
        method = accumulated(method, made.loop.accumulate, unroll=False)  # as on every platform but CPU
        way, skip = Way(None, lowering), made.loop.nan == "skip"
        make, noise = make_batch(made.augment), made.loop.dp_noise
        method, make = (private(method, noise, 1.0, BATCH), marked(make)) if noise else (method, make)
        run = compile_steps(method, make, pick_devices(1), True, way, skip)
        photos = (len(method.domains),) if method.domains else ()
        return run(step, state, shapes(source, 1), jax.ShapeDtypeStruct((1, k, BATCH, *photos), jnp.int32))

    return lower


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: "-".join([variant[0], *variant[1]]))
def made(request, tiny_recipe):
    name, settings = request.param
    return tiny_recipe(name, batch=BATCH, **settings)


def test_steps_lower_for_tpu_and_cuda(made, lower_steps):
    """Two periods in one dispatch, a loop on the device: of the turns that come first, and of those that come last."""
    method = made.build(SPEC)
    begun = int(max(turn.span[0] for turn in method.turns))  # by then all that has an end has ended
    for step in sorted({0, begun}):
        lowered = lower_steps(method, made, step, 2 * period(method))
        assert lowered.platforms == PLATFORMS and lowered.nr_devices == 1


def test_samplers_and_validation_lower_for_tpu_and_cuda(made):
    method = made.build(SPEC)
    state = jax.eval_shape(lambda: init_state(method, jax.random.key(0)))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), PICTURES))
    label = labels(PICTURES)
    batch = {"image": jax.ShapeDtypeStruct((PICTURES, SPEC.size, SPEC.size, 3), jnp.float32), "label": label}
    calls = [(method.sample, (keys, cond)) for cond in ({}, {name: label[name] for name in method.conditions})]
    if method.edit is not None:
        kept = Kept(batch["image"], jax.ShapeDtypeStruct((PICTURES, SPEC.size, SPEC.size, 1), jnp.float32))
        calls.append((method.edit, (keys, {}, kept, jax.ShapeDtypeStruct((), jnp.float32))))
    if method.validate is not None:
        calls.append((method.validate, (batch, keys)))
    if method.features is not None:
        calls.append((method.features, (batch["image"], keys)))
    for call, arguments in calls:
        lowered = export.export(jax.jit(call), platforms=PLATFORMS)(state.averaged, *arguments)
        assert lowered.platforms == PLATFORMS


# --- that it can fail ---------------------------------------------------------------------------------------------


def callback(x):
    return jax.pure_callback(np.sin, x, x)


def foreign_call(x):
    return jax.ffi.ffi_call("a_call_of_some_cpu_library", x)(x)


def cpu_only(x):
    return x + jax.scipy.linalg.schur(jnp.outer(x.ravel()[:2], x.ravel()[:2]))[0].sum()


@pytest.mark.parametrize("slipped", [callback, foreign_call, cpu_only])
def test_what_only_a_cpu_can_do_is_caught(tiny_recipe, lower_steps, slipped):
    """In a step, under its shard_map, as it would slip in; the same step without it is lowered."""
    made = tiny_recipe("vae", batch=BATCH)
    method = made.build(SPEC)
    (turn,) = method.turns

    def loss(params, extra, batch, keys, step):
        image = jax.lax.stop_gradient(slipped(jax.lax.stop_gradient(batch["image"])))
        return turn.loss(params, extra, {**batch, "image": image}, keys, step)

    with pytest.raises((NotImplementedError, ValueError), match="callback|custom call|platform"):
        lower_steps(replace(method, turns=(replace(turn, loss=loss),)), made, 0, 1)
