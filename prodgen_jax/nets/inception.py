"""Inception-v3 (Szegedy 2016) in the variant whose features the FID is defined by: TensorFlow's graph of 2015-12-05.

It differs from the later ones in its pools: averages leave the padding out, and the last block takes a maximum. It is a
table, read by a few lines, and learns nothing here: weights come from a file that a user has. Each convolution has
the name that PyTorch's version of the graph gives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

SIDE, FEATURES = 299, 2048  # pixels that it was trained at; length of what it sees
THREE, ONE, SLIM, TALL = (3, 3), (1, 1), (1, 7), (7, 1)

Weights = Mapping[str, tuple[Float[Array, "kh kw i o"], Float[Array, "o"]]]  # {name: kernel, bias}


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch normalization, ReLU; the two former are one kernel and one bias here."""

    name: str
    width: int
    kernel: tuple[int, int] = ONE
    stride: int = 1
    padding: str = "SAME"


def average(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    return nnx.avg_pool(x, THREE, (1, 1), "SAME", count_include_pad=False)


def largest(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    return nnx.max_pool(x, THREE, (1, 1), "SAME")


def halved(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    return nnx.max_pool(x, THREE, (2, 2), "VALID")


def down(name: str, width: int) -> Conv:
    return Conv(name, width, THREE, 2, "VALID")


# A path is a tuple of steps; a step that is a list of paths takes them all and sets their ends side by side.


def block_a(pooled: int) -> list:
    return [
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, THREE), Conv("branch3x3dbl_3", 96, THREE)),
        (average, Conv("branch_pool", pooled)),
    ]


def block_b() -> list:
    return [
        (down("branch3x3", 384),),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, THREE), down("branch3x3dbl_3", 96)),
        (halved,),
    ]


def block_c(n: int) -> list:
    twice = [Conv(f"branch7x7dbl_{i}", n, kernel) for i, kernel in enumerate((ONE, TALL, SLIM, TALL), 1)]
    return [
        (Conv("branch1x1", 192),),
        (Conv("branch7x7_1", n), Conv("branch7x7_2", n, SLIM), Conv("branch7x7_3", 192, TALL)),
        (*twice, Conv("branch7x7dbl_5", 192, SLIM)),
        (average, Conv("branch_pool", 192)),
    ]


def block_d() -> list:
    wide = [Conv(f"branch7x7x3_{i}", 192, kernel) for i, kernel in enumerate((ONE, SLIM, TALL), 1)]
    return [
        (Conv("branch3x3_1", 192), down("branch3x3_2", 320)),
        (*wide, down("branch7x7x3_4", 192)),
        (halved,),
    ]


def block_e(pool) -> list:
    def both(name: str) -> list:
        return [(Conv(f"{name}a", 384, (1, 3)),), (Conv(f"{name}b", 384, (3, 1)),)]

    return [
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), both("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, THREE), both("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192)),
    ]


STEM = (
    down("Conv2d_1a_3x3", 32), Conv("Conv2d_2a_3x3", 32, THREE, 1, "VALID"), Conv("Conv2d_2b_3x3", 64, THREE), halved,
    Conv("Conv2d_3b_1x1", 80), Conv("Conv2d_4a_3x3", 192, THREE, 1, "VALID"), halved,
)  # fmt: skip
BLOCKS = {
    "Mixed_5b": block_a(32), "Mixed_5c": block_a(64), "Mixed_5d": block_a(64), "Mixed_6a": block_b(),
    "Mixed_6b": block_c(128), "Mixed_6c": block_c(160), "Mixed_6d": block_c(160), "Mixed_6e": block_c(192),
    "Mixed_7a": block_d(), "Mixed_7b": block_e(average), "Mixed_7c": block_e(largest),
}  # fmt: skip


def features(weights: Weights, x: Float[Array, "b h w 3"]) -> Float[Array, "b 2048"]:
    """What the network sees of pictures in [-1, 1] of any size: they are made 299 px large, by plain bilinear."""
    x = jax.image.resize(x, (len(x), SIDE, SIDE, 3), "bilinear", antialias=False)
    x = follow(STEM, weights, "", x)
    for name, block in BLOCKS.items():
        x = follow((block,), weights, f"{name}.", x)
    return x.mean((1, 2))


def follow(path: tuple, weights: Weights, prefix: str, x: Float[Array, "b h w i"]) -> Float[Array, "b _ _ o"]:
    """x after all steps of a path."""
    for step in path:
        if isinstance(step, Conv):
            kernel, bias = weights[prefix + step.name]
            strides, layout = (step.stride, step.stride), ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, kernel, strides, step.padding, dimension_numbers=layout)
            x = jax.nn.relu(x + bias)
        elif isinstance(step, list):
            x = jnp.concatenate([follow(each, weights, prefix, x) for each in step], axis=-1)
        else:
            x = step(x)
    return x


def shapes() -> dict[str, tuple[int, int, int, int]]:
    """{name of a convolution: the shape of its kernel [kh kw i o]}, found by following all paths with shapes alone."""
    found: dict[str, tuple[int, int, int, int]] = {}

    def walk(path: tuple, prefix: str, width: int) -> int:
        for step in path:
            if isinstance(step, Conv):
                found[prefix + step.name] = (*step.kernel, width, step.width)
                width = step.width
            elif isinstance(step, list):
                width = sum(walk(each, prefix, width) for each in step)
        return width

    width = walk(STEM, "", 3)
    for name, block in BLOCKS.items():
        width = walk((block,), f"{name}.", width)
    return found
