"""The first nine convolutions of VGG-19 (Simonyan & Zisserman 2015), which style transfer is usually looked at through.

Its weights are not ours to hand on: they come from a file that a user has.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.layers import conv

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, 512)  # of each convolution
POOLED = (2, 4, 8)  # convolutions that the halves of the maximum are handed to
SEEN = (0, 2, 4, 8)  # convolutions whose maps are looked at: relu1_1, relu2_1, relu3_1, relu4_1
PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19)  # of the convolutions in torchvision's `features`
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures that it was trained on, in [0, 1]


class VGG19(nnx.Module):
    """Pictures of any size in [-1, 1] to what it sees: themselves, then maps of 1, 1/2, 1/4, 1/8 of the side."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.convs = nnx.List([conv(*pair, rngs=rngs) for pair in zip((3, *WIDTHS), WIDTHS, strict=False)])

    def __call__(self, x: Float[Array, "b h w 3"]) -> list[Float[Array, "b _ _ _"]]:
        found = [x]
        x = ((x + 1) / 2 - jnp.array(MEAN, x.dtype)) / jnp.array(DEVIATION, x.dtype)
        for i, layer in enumerate(self.convs):
            if i in POOLED:
                x = nnx.max_pool(x, (2, 2), (2, 2))
            x = jax.nn.relu(layer(x))
            if i in SEEN:
                found.append(x)
        return found
