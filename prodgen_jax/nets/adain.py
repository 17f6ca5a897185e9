"""The decoder of style transfer: from maps that have a style's statistics to a picture."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from prodgen_jax.nets.layers import Linear, conv

LOOK = 128  # numbers that a style's statistics are read into


def twice(x: Float[Array, "b h w c"]) -> Float[Array, "b 2h 2w c"]:
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def normalized(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Instance normalization (Ulyanov 2016)."""
    wide = x.astype(jnp.float32)
    rate = jax.lax.rsqrt(wide.var((1, 2), keepdims=True) + 1e-5)
    return ((wide - wide.mean((1, 2), keepdims=True)) * rate).astype(x.dtype)


class StyledBlock(nnx.Module):
    """Two convolutions; noise enters the first, and a style scales and shifts the normalized maps of both.

    Dumoulin 2017, eq. 5, with scale and shift read from the style itself as Ghiasi 2017 do. Noise, as in StyleGAN
    (Karras 2019), is what a fabric's threads are made of where the product is plain.
    """

    def __init__(self, cin: int, cout: int, noise: int, *, rngs: nnx.Rngs):
        self.first, self.second = conv(cin + noise, cout, rngs=rngs), conv(cout, cout, rngs=rngs)
        self.look = Linear(LOOK, 4 * cout, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b h w i"], look: Float[Array, "b d"], noise: Float[Array, "b h w n"]
    ) -> Float[Array, "b h w o"]:
        gain, shift, gain2, shift2 = jnp.split(self.look(look)[:, None, None], 4, axis=-1)
        x = self.first(jnp.concatenate([x, noise], -1))
        x = self.second(jax.nn.silu(normalized(x) * (1 + gain) + shift))
        return jax.nn.silu(normalized(x) * (1 + gain2) + shift2)


class StyleDecoder(nnx.Module):
    """codes: channels of the coarsest map and of the one at twice its side, if there is one; seen: numbers of a look.

    width: channels of the finest block; each coarser one has twice as many, at most four times. noise: channels.
    """

    def __init__(self, codes: Sequence[int], seen: int, depth: int, width: int, noise: int, *, rngs: nnx.Rngs):
        self.read = Linear(seen, LOOK, rngs=rngs)
        widths = [width * min(2 ** max(depth - 1 - i, 0), 4) for i in range(depth + 1)]
        cins = [codes[0], *widths[:-1]]
        if len(codes) > 1:
            cins[1] += codes[1]
        self.blocks = nnx.List([StyledBlock(a, b, noise, rngs=rngs) for a, b in zip(cins, widths, strict=True)])
        self.to_rgb = conv(width, 3, rngs=rngs)

    def __call__(
        self,
        code: Float[Array, "b h w c"],
        finer: Float[Array, "b 2h 2w k"] | None,
        look: Float[Array, "b seen"],
        noise: Sequence[Float[Array, "b _ _ n"]],
    ) -> Float[Array, "b H W 3"]:
        """noise: one for each block, of its size."""
        x, look = code, jax.nn.silu(self.read(look.astype(code.dtype)))
        for i, (block, own) in enumerate(zip(self.blocks, noise, strict=True)):
            if i:
                x = twice(x)
            if i == 1 and finer is not None:
                x = jnp.concatenate([x, finer.astype(x.dtype)], -1)
            x = block(x, look, own.astype(x.dtype))
        return self.to_rgb(x)
