"""Squares of pixels as single pixels with more channels, and back."""

from jax import Array
from jaxtyping import Float


def space_to_depth(x: Float[Array, "b h w c"], patch: int) -> Float[Array, "b h/p w/p c*p*p"]:
    """Each patch x patch square becomes one pixel with as many more channels."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // patch, patch, w // patch, patch, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // patch, w // patch, patch * patch * c)


def depth_to_space(x: Float[Array, "b h w c"], patch: int) -> Float[Array, "b h*p w*p c/p/p"]:
    """The inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, patch, patch, c // patch**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * patch, w * patch, c // patch**2)
