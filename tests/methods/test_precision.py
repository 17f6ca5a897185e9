"""bfloat16 inside networks, float32 around them."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from prodgen_jax.errors import InputError
from prodgen_jax.methods import METHODS, Spec
from prodgen_jax.methods.core import AXIS, PLACE, init_state, train_step
from prodgen_jax.methods.precision import opened
from prodgen_jax.nets.embedding import Embedding

SPEC, BATCH = Spec(8, 3, {"type": 3, "colour": 2}, words=9), 8
MORE = {
    "ddpm": {"condition": "type"},
    "flow": {"network": "dit", "dit_width": 16, "dit_depth": 2, "dit_heads": 2, "condition": "type"},
    "vae": {"warmup": 1},
}


class Told(nnx.Module):
    """An embedding where a network stands: the time comes beside the picture."""

    def __init__(self, net):
        self.net = net

    def __call__(self, x, t):
        return self.net(t, {})[0]


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, n, BATCH).astype(np.int32) for name, n in SPEC.attributes.items()}
    labels["text"] = rng.integers(-1, 9, (BATCH, 5)).astype(np.int32)
    return {"image": rng.integers(0, 256, (BATCH, 8, 8, 3)).astype("f") / 127.5 - 1, "label": labels}


@pytest.fixture(scope="module")
def made(tiny_recipe):
    """made(name, precision, **settings): a tiny method."""
    return lambda name, precision, **settings: tiny_recipe(
        name, precision=precision, **{**MORE.get(name, {}), **settings}
    ).build(SPEC)


@pytest.fixture(scope="module")
def start(made):
    """start(name, precision) -> (method, state with noise on every parameter: fresh denoisers answer 0)."""

    def make(name, precision):
        method = made(name, precision)
        state, rng = jax.jit(partial(init_state, method))(jax.random.key(0)), np.random.default_rng(1)
        noisy = jax.tree.map(lambda p: p + rng.normal(0, 0.03, p.shape).astype("f"), state.params)
        return method, state._replace(params=noisy)

    return make


def step(method, state, batch):
    """(state, metrics) after a step in which all turns are due."""
    dues = (True,) * len(method.turns)
    run = jax.jit(jax.vmap(partial(train_step, method, dues), (None, 0), axis_name=AXIS))
    return jax.tree.map(lambda x: x[0], run(state, jax.tree.map(lambda x: x[None], batch)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["dcgan", "vae", "ddpm", *(pytest.param(name, marks=pytest.mark.long) for name in ("wgan_gp", "stylegan", "flow"))],
)  # all products: below
def test_a_step_in_bf16_is_a_step(start, batch, name):
    """Close to the step in float32 but not the same one, and all that lasts is float32 as before."""
    (_, wanted), (after, seen) = (step(*start(name, precision), batch) for precision in ("fp32", "bf16"))
    losses = [key for key in wanted if key.startswith("loss/")]
    ours, theirs = ({key: float(found[key]) for key in losses} for found in (seen, wanted))
    assert losses and ours != theirs and ours == pytest.approx(theirs, rel=0.04, abs=0.01)
    lasting = jax.tree.leaves((after.params, after.opt, after.ema))
    assert {leaf.dtype for leaf in lasting} <= {jnp.dtype("float32"), jnp.dtype("int32")}
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in lasting)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "vqvae"])  # codes and their prior: float32
def test_every_product_is_one_of_bf16(made, batch, name):
    """Operands of all convolutions and matrix products, forward and back, as the program is handed to XLA.

    Attention's softmax is float32, so in its backward pass one side of a product may be. What is no network's stays in
    float32: a prior, Gram matrices, the interpolation that enlarges a source, what two towers say of each other; and
    so do sums over pixels, which are products of a row of ones, and over channels, which are products with one column.
    """
    usual = {"ae": {"flow": 0}, "vae": {"flow": 0}, "cvae": {"flow": 0}, "srgan": {"task": "grey"}}
    method = made(name, "bf16", **usual.get(name, {}))
    state = jax.eval_shape(partial(init_state, method), jax.random.key(0))
    if method.domains:
        place = np.stack([np.arange(BATCH), np.full(BATCH, BATCH)], -1)
        batch = {"image": np.stack([batch["image"], batch["image"][::-1]], 1), PLACE: place}
    kinds = "convolution" if name == "adain" else "convolution|dot_general"
    keys = jax.random.split(jax.random.key(0), BATCH)
    for turn in (turn for turn in method.turns if turn.trains != "towers"):

        def loss(group, params, extra, turn=turn):
            return turn.loss({**params, turn.trains: group}, extra, batch, keys, 0)[0]

        alone = jax.vmap(jax.grad(loss), (0, None, None), axis_name=AXIS)  # the one device of the data's axis
        group = jax.tree.map(lambda p: jax.ShapeDtypeStruct((1, *p.shape), p.dtype), state.params[turn.trains])
        program = jax.jit(alone).lower(group, state.params, state.extra).as_text()
        lines = [line for line in program.splitlines() if re.search(rf"stablehlo\.({kinds})", line)]
        operands = [re.search(r": \((tensor<.*>), (tensor<.*>)\) ->", line).groups() for line in lines]
        sums = r"tensor<\d+x1x\d+xf32> .*|.* tensor<(\d+x)+1xf32>"
        operands = [pair for pair in operands if not re.fullmatch(sums, " ".join(pair))]
        assert operands and all("bf16" in one or "bf16" in two for one, two in operands)
        assert sum("bf16" in one and "bf16" in two for one, two in operands) > 0.8 * len(operands)


def test_times_are_not_rounded():
    """Embeddings of t = 0.999 and 0.9995, which bfloat16 holds for the same number."""
    net = Embedding(32, 32, {}, rngs=nnx.Rngs(0))
    embed = opened(Told(net), "bf16")(nnx.state(Told(net), nnx.Param))
    one, two = (embed(jnp.zeros((1, 1)), jnp.float32([t])) for t in (0.999, 0.9995))
    assert jnp.bfloat16(0.999) == jnp.bfloat16(0.9995) and float(abs(one - two).max()) > 0.05


def test_other_precisions_are_refused(tiny_recipe):
    for name in METHODS:
        with pytest.raises(InputError, match="precision=fp16 is not known; choose one of fp32, bf16"):
            tiny_recipe(name, precision="fp16").build(SPEC)
