"""Tasks that a catalog sets itself: from each photo a picture that says less, of which the photo is to be made again.

A task maps photos [b h w 3] in [-1, 1] to pictures of the same shape and range, and runs on the device, so that no
second set of pictures is kept. Isola 2017 (pix2pix), section 4, names most of them.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from prodgen_jax.data.foreground import APART
from prodgen_jax.data.images import LUMA

Pictures = Float[Array, "b h w 3"]
Task = Callable[[Pictures], Pictures]

ENLARGED = (2, 4)  # times
LINE = 0.175  # Sobel gradient, as a share of the largest there can be in one direction, that makes a line


def luma(x: Pictures) -> Float[Array, "b h w"]:
    """Brightness in [-1, 1]."""
    return x @ LUMA


def three(x: Float[Array, "b h w"]) -> Pictures:
    return jnp.repeat(x[..., None], 3, axis=-1)


def grey(x: Pictures) -> Pictures:
    """The brightness alone: to be colored."""
    return three(luma(x))


def edges(x: Pictures) -> Pictures:
    """Black lines on white where any channel's change is steep (Sobel): to be filled."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")

    def slope(x):  # down the rows: differences two rows apart, weighed 1 2 1 across
        d = x[:, 2:] - x[:, :-2]
        return (d[:, :, :-2] + 2 * d[:, :, 1:-1] + d[:, :, 2:]) / 8

    steep = jnp.hypot(slope(x), jnp.swapaxes(slope(jnp.swapaxes(x, 1, 2)), 1, 2)).max(-1)
    return three(jnp.where(steep > LINE, -1.0, 1.0))


def product(x: Pictures) -> Bool[Array, "b h w"]:
    """Where the product is: what differs from the ground that the border shows, as `foreground` finds it."""
    ring = jnp.concatenate([x[:, 0], x[:, -1], x[:, 1:-1, 0], x[:, 1:-1, -1]], axis=1)
    ground = jnp.median(ring, axis=1)[:, None, None]
    return (jnp.abs(x - ground) > APART / 127.5).any(-1)


def mask(x: Pictures) -> Pictures:
    """The product's silhouette, black on white: to be filled."""
    return three(jnp.where(product(x), -1.0, 1.0))


def half(x: Pictures) -> Pictures:
    """The left half; the right one is grey: to be completed."""
    left = jnp.arange(x.shape[2]) < x.shape[2] // 2
    return jnp.where(left[:, None], x, 0.0)


def enlarged(x: Float[Array, "b h w 3"], times: int, how: str = "cubic") -> Pictures:
    """So many times larger, by bicubic interpolation (Keys 1981), or another of `jax.image.resize`."""
    b, h, w, c = x.shape
    return jnp.clip(jax.image.resize(x, (b, h * times, w * times, c), how), -1, 1)


def shrunk(x: Float[Array, "b h w c"], times: int) -> Float[Array, "b h/t w/t c"]:
    """So many times smaller: the means of squares of pixels."""
    b, h, w, c = x.shape
    return x.reshape(b, h // times, times, w // times, times, c).mean((2, 4))


def small(x: Pictures, times: int) -> Pictures:
    """A picture so many times smaller, enlarged again: to be sharpened."""
    if x.shape[1] % times or x.shape[2] % times:
        raise ValueError(f"task small{times}: the pictures' {x.shape[1]} px must be divisible by {times}")
    return enlarged(shrunk(x, times), times)


TASKS: dict[str, Task] = {
    "grey": grey,
    "edges": edges,
    "mask": mask,
    "half": half,
    **{f"small{times}": partial(small, times=times) for times in ENLARGED},
}
