"""Layers with kernels. Maps are `[b h w c]`; convolutions pad to 'SAME'.

They are the usual ones, but for what XLA makes of their gradients on CPU. It merges element-wise work into whatever
reads the result, and then does it once for each reader: a convolution's gradient, which is read for its bias, its
kernel and its input, was computed three times. So what comes into a layer, what leaves it, and the gradients of both
are kept as arrays there (`settled`), which takes a quarter off a U-Net's step.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, PyTree

from prodgen_jax.nets.patches import space_to_depth

LAYOUT = ("NHWC", "HWIO", "NHWC")


def settled(x: PyTree) -> PyTree:
    """x: on CPU as arrays that all their readers share, and so are their gradients; elsewhere nothing is done.

    XLA heeds it where `training/compiler.py` is asked for its options. Which platform it is for is asked here and not
    of `jax.lax.platform_dependent`, with which a U-Net's step takes a third longer to trace.
    """
    return jax.lax.optimization_barrier(x) if jax.default_backend() == "cpu" else x


def spread(bias: Float[Array, "o"], n: int) -> Float[Array, "n o"]:
    """n times the same row. On CPU a product with ones, whose gradient is one too: a sum down columns takes longer."""
    if jax.default_backend() == "cpu":
        return jnp.ones((n, 1), bias.dtype) @ bias[None]
    return jnp.broadcast_to(bias, (n, len(bias)))


@jax.custom_jvp
def shifted(y: Float[Array, "n o"], bias: Float[Array, "o"]) -> Float[Array, "n o"]:
    """y + bias, with the gradient of `spread`."""
    return y + bias


@shifted.defjvp
def _shifted_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return shifted(*primals), tangents[0] + spread(tangents[1], len(primals[0]))


def convolve(x: Float[Array, "b h w i"], kernel: Float[Array, "k k i o"], stride: int = 1) -> Float[Array, "b H W o"]:
    """The usual convolution; of a 1 x 1 kernel as a product, whose gradient takes half as long on CPU."""
    if kernel.shape[0] == stride == 1:
        return x @ kernel[0, 0]
    fits = stride > 1 and not any(n % stride for n in (kernel.shape[0], *x.shape[1:3]))
    if fits and jax.default_backend() == "cpu":
        return convolve_patches(x, kernel, stride)
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT)


def convolve_patches(x: Float[Array, "b h w i"], kernel: Float[Array, "k k i o"], stride: int) -> Array:
    """The same, stride by stride pixels taken as one.

    The gradient of a stride is a convolution of pixels with zeros between them, which XLA on CPU multiplies like all
    others: at a stride of 2 four times as much work as this. k, h and w: multiples of `stride`.
    """
    k, out = kernel.shape[0], kernel.shape[-1]
    pad = ((k - stride) // 2, (k - stride + 1) // 2)
    x = space_to_depth(jnp.pad(x, ((0, 0), pad, pad, (0, 0))), stride)
    kernel = space_to_depth(kernel.reshape(1, k, k, -1), stride).reshape(k // stride, k // stride, -1, out)
    return jax.lax.conv_general_dilated(settled(x), settled(kernel), (1, 1), "VALID", dimension_numbers=LAYOUT)


class Conv(nnx.Conv):
    """`convolve` with its parameters: kernel `[k k cin cout]`, bias `[cout]`."""

    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b H W o"]:
        inputs = (settled(x), self.kernel[...], self.bias[...])
        x, kernel, bias = self.promote_dtype(inputs, dtype=self.dtype)
        y = convolve(x, kernel, self.strides[0])
        return settled(shifted(y.reshape(-1, y.shape[-1]), bias).reshape(y.shape))


def conv(cin: int, cout: int, kernel: int = 3, stride: int = 1, *, rngs: nnx.Rngs, zero: bool = False) -> Conv:
    """A convolution; `zero` starts it at zero, so that the branch it closes starts as the identity."""
    init = nnx.initializers.zeros if zero else nnx.initializers.he_normal()
    return Conv(cin, cout, (kernel, kernel), (stride, stride), padding="SAME", kernel_init=init, rngs=rngs)


class Linear(nnx.Linear):
    """A dense layer on the last axis: kernel `[cin cout]`, bias `[cout]`.

    It works on a matrix: of more axes XLA on CPU turns the gradient over before its product with the input.
    """

    def __call__(self, x: Float[Array, "*n i"]) -> Float[Array, "*n o"]:
        inputs = (settled(x).reshape(-1, x.shape[-1]), self.kernel[...], self.bias[...])
        rows, kernel, bias = self.promote_dtype(inputs, dtype=self.dtype)
        return settled(shifted(rows @ kernel, bias).reshape(*x.shape[:-1], -1))


def dense(cin: int, cout: int, *, rngs: nnx.Rngs, zero: bool = False) -> Linear:
    """A dense layer; `zero` starts it at zero, so that the branch it closes starts as the identity."""
    init = nnx.initializers.zeros if zero else nnx.initializers.xavier_uniform()
    return Linear(cin, cout, kernel_init=init, rngs=rngs)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(x: Float[Array, "b h w i"], kernel: Float[Array, "k k o i"], stride: int) -> Float[Array, "b H W o"]:
    """The transpose of the strided convolution `down` that `kernel` belongs to; H = stride * h.

    Its kernel gradient is taken as the strided convolution's own: XLA's direct rule is 45 to 80 times slower on CPU.
    """
    b, h, w, _ = x.shape
    like = jax.ShapeDtypeStruct((b, h * stride, w * stride, kernel.shape[2]), x.dtype)
    return jax.linear_transpose(lambda y: convolve(y, kernel, stride), like)(x)[0]


def _transpose_forward(x: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return conv_transpose(x, kernel, stride), (x, kernel)


def _transpose_backward(stride: int, saved: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = saved
    to_kernel = jax.linear_transpose(lambda k: convolve(grad, k, stride), kernel)
    return convolve(grad, kernel, stride), to_kernel(x)[0]


conv_transpose.defvjp(_transpose_forward, _transpose_backward)


class ConvTranspose(nnx.Module):
    """`conv_transpose` with its parameters: kernel `[k k cout cin]`, bias `[cout]`."""

    def __init__(self, cin: int, cout: int, kernel: int = 4, stride: int = 2, *, rngs: nnx.Rngs):
        fan_in = cin * kernel * kernel / stride**2  # each output pixel sees this many inputs
        draw = jax.random.normal(rngs.params(), (kernel, kernel, cout, cin))
        self.kernel = nnx.Param(draw * jnp.sqrt(2 / fan_in))
        self.bias = nnx.Param(jnp.zeros(cout))
        self.stride = stride

    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b H W o"]:
        y = conv_transpose(settled(x), self.kernel[...].astype(x.dtype), self.stride)
        return settled(shifted(y.reshape(-1, y.shape[-1]), self.bias[...].astype(x.dtype)).reshape(y.shape))
