"""The network of a denoiser: which one it is, its settings, and whether it fits the pictures.

A network maps (x [b h w c], t [b], {attribute: int [b], text: int [b l]}, keys [b] or None) to a prediction of x's
shape; with keys, it drops out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flax import nnx

from prodgen_jax.data.captions import EMBEDDING, TEXT
from prodgen_jax.errors import InputError
from prodgen_jax.methods.spec import Spec
from prodgen_jax.nets.dit import DiT
from prodgen_jax.nets.text import TextEncoder, VectorReader
from prodgen_jax.nets.unet import UNet


@dataclass(frozen=True)
class BackboneSettings:
    """What `--set` reaches of a denoiser's network."""

    network: str = "unet"  # unet, or dit: a transformer; its settings are those that begin with its name
    width: int = 32  # channels of the U-Net's first level
    multipliers: tuple[int, ...] = (1, 2, 3)  # channels of each level, in widths
    blocks: int = 1  # residual blocks per level
    attend: tuple[int, ...] = (1,)  # levels with self-attention, 0 the finest
    inner: float = 1.0  # share of a residual block's channels that its middle has; less after `prodgen prune`
    patch: int = 2  # pixels on a side that one position of the finest level holds
    dit_width: int = 192  # numbers that describe a patch
    dit_depth: int = 6  # blocks
    dit_heads: int = 3  # of each block's attention
    dit_patch: int = 4  # pixels on a side
    text_width: int = 128  # numbers that describe a word, where condition= names text
    text_depth: int = 2  # blocks of the transformer that reads the words
    dropout: float = 0.0  # share of a block's hidden numbers that are dropped while training; 0.1 in Ho 2020
    remat: bool = False  # compute each block again for its gradient instead of keeping it: less memory, more work


class Backbone(NamedTuple):
    """build: (settings, Spec, {condition: number of values or words}, rngs) -> the network.

    check: (method, settings, Spec); InputError where settings and the picture's size do not fit together.
    """

    build: Callable
    check: Callable


def apart(
    s: BackboneSettings, said: Mapping[str, int], rngs: nnx.Rngs
) -> tuple[dict[str, int], TextEncoder | VectorReader | None]:
    """(attributes, what reads the words or the vector) of a network's conditions."""
    reader = None
    if TEXT in said:
        reader = TextEncoder(TEXT, said[TEXT], s.text_width, s.text_depth, rngs=rngs)
    elif EMBEDDING in said:
        reader = VectorReader(EMBEDDING, said[EMBEDDING], s.text_width, rngs=rngs)
    return {name: n for name, n in said.items() if name not in (TEXT, EMBEDDING)}, reader


def unet(s: BackboneSettings, spec: Spec, said: Mapping[str, int], rngs: nnx.Rngs) -> UNet:
    shape = (spec.channels, s.width, s.multipliers, s.blocks, s.attend, s.patch)
    return UNet(*shape, *apart(s, said, rngs), dropout=s.dropout, inner=s.inner, remat=s.remat, rngs=rngs)


def check_unet(method: str, s: BackboneSettings, spec: Spec) -> None:
    levels = len(s.multipliers)
    if not 0 < s.inner <= 1:
        raise InputError(f"inner={s.inner}: a share, must be above 0 and at most 1")
    fold = s.patch * 2 ** (levels - 1)
    if spec.size % fold:
        raise InputError(
            f"{method}: pictures of {spec.size} px cannot be halved to {levels} levels; patch * 2^(levels - 1) "
            f"is {fold} and must divide the size"
        )
    if not set(s.attend) <= set(range(levels)):
        raise InputError(f"attend={s.attend}: there are levels 0 to {levels - 1}")


def dit(s: BackboneSettings, spec: Spec, said: Mapping[str, int], rngs: nnx.Rngs) -> DiT:
    shape = (spec.channels, s.dit_width, s.dit_depth, s.dit_heads, s.dit_patch)
    return DiT(*shape, *apart(s, said, rngs), dropout=s.dropout, remat=s.remat, rngs=rngs)


def check_dit(method: str, s: BackboneSettings, spec: Spec) -> None:
    if s.dit_patch < 1 or spec.size % s.dit_patch:
        raise InputError(f"{method}: dit_patch={s.dit_patch} must divide the pictures' {spec.size} px")
    if s.dit_heads < 1 or s.dit_width % s.dit_heads:
        raise InputError(f"dit_heads={s.dit_heads}: must divide dit_width={s.dit_width}")
    if s.dit_width < 4 or s.dit_width % 4:
        raise InputError(f"dit_width={s.dit_width}: must be a multiple of 4, sine and cosine of row and column")


BACKBONES = {"unet": Backbone(unet, check_unet), "dit": Backbone(dit, check_dit)}
