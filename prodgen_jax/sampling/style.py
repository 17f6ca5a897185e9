"""Photos that take on the look of a fabric, a paper or any picture, while what may not change stays to the byte.

Two ways: a trained decoder in one pass (`Method.style`), or the pictures themselves are trained (`gatys`), which is
slower and closer. Either may be done in stages, from coarse to fine.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageOps
from scipy import ndimage

from prodgen_jax.data.augment import AugmentSettings
from prodgen_jax.data.images import square, to_signed, to_uint8
from prodgen_jax.data.prepared import Split
from prodgen_jax.data.styles import STYLES, draw_style
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method
from prodgen_jax.methods.gatys import PICTURE, GatysSettings, gatys, mixed_grams
from prodgen_jax.methods.perception import Eye
from prodgen_jax.progress import Progress
from prodgen_jax.sampling.edit import Mask, Photo, open_photo, set_in
from prodgen_jax.sampling.sample import image_keys
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.loop import LoopSettings, loop
from prodgen_jax.training.run import Run

GRID = 8  # pixels that sides are a multiple of
LEAST, MOST = 32, 256  # pixels: the coarsest stage's side, and the largest that is worked at if no other is asked for
PORTION = 16  # pictures at a time
STILL = AugmentSettings(flip=False)

Pictures = Float[Array, "n s s 3"]


def stylize(
    run: Run,
    photos: Sequence[Photo],
    styles: Mapping[str, float],
    *,
    strength: float = 0.8,
    changes: Sequence[Mask] | None = None,
    stages: int = 1,
    steps: int = 0,
    size: int | None = None,
    seed: int = 0,
) -> list[Photo]:
    """Each photo in a mix of styles, in its own size.

    styles: {name of a style that comes with the package, or a picture file: share}. strength: 0 leaves all as it is.
    changes: per photo, True where it may change; the rest stays to the byte. stages: so many transfers, one after the
    other, each at twice the side of the one before. steps: of training the pictures themselves; 0: one pass of the
    run's decoder. size: pixels on a side to work at; None: the largest photo's, at most 256 and at least twice what the
    run learned at, so that threads are finer than goods. InputError where the run knows no styles, or an argument
    cannot be.
    """
    check(run, photos, styles, strength, changes, stages, steps)
    if size is not None and size < 1:
        raise InputError(f"size={size}: pixels on a side, must be 1 or more")
    if strength == 0:
        return [photo.copy() for photo in photos]
    size = size or max(min(max(max(photo.shape[:2]) for photo in photos), MOST), 2 * run.spec.size)
    size = max(-(-size // GRID) * GRID, run.spec.size)
    masks = [np.ones(photo.shape[:2], bool) for photo in photos] if changes is None else list(changes)
    content = [square(Image.fromarray(filled(*pair)), size) for pair in zip(photos, masks, strict=True)]
    looks = to_signed(np.stack([style_picture(name, size) for name in styles]))
    shares = np.array(list(styles.values()), np.float32) / sum(styles.values())
    in_one = partial(one_pass, jitted(run.method.style), run, seed)
    way = partial(train_pictures, run, steps, seed) if steps else in_one
    made = []
    with Progress(len(content), "style") as bar:
        for start in range(0, len(content), PORTION):
            part = to_signed(np.stack(content[start : start + PORTION]))
            made.extend(to_uint8(cascade(partial(way, start), part, looks, shares, strength, stages)[-1]))
            bar.advance(min(PORTION, len(content) - start))
    return [set_in(*row) for row in zip(photos, made, masks, strict=True)]


def check(run: Run, photos, styles, strength: float, changes, stages: int, steps: int) -> None:
    """InputError says what does not fit."""
    if run.method.style is None:
        raise InputError(f"{run.path}: a {run.config['method']} knows no styles; train an adain")
    if not len(photos):
        raise InputError("no photo to style")
    if not styles:
        raise InputError("say which style: one of " + ", ".join(STYLES) + ", or a picture file")
    for name, share in styles.items():
        if not 0 < share < float("inf"):
            raise InputError(f"style {name}={share}: a share of the mix, must be above 0")
    if not 0 <= strength <= 1:
        raise InputError(f"strength={strength}: must lie between 0 and 1")
    if stages < 1:
        raise InputError(f"stages={stages}: must be 1 or more")
    if steps < 0:
        raise InputError(f"steps={steps}: must be 0, for one pass, or more")
    for i, (photo, mask) in enumerate(zip(photos, changes, strict=True) if changes is not None else ()):
        if mask.shape != photo.shape[:2]:
            raise InputError(f"photo {i}: is {photo.shape[:2]} pixels (rows, columns), its mask {mask.shape}")


def style_picture(name: str, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """A style by its name, or the middle of a picture file. InputError where it is neither."""
    if name in STYLES:
        return draw_style(name, size)
    if not Path(name).is_file():
        raise InputError(f"style '{name}' is neither a file nor one of {', '.join(STYLES)}")
    return np.asarray(ImageOps.fit(open_photo(name), (size, size), Image.Resampling.LANCZOS))


def filled(photo: Photo, change: Mask) -> Photo:
    """The photo with the colors at the edge of what may change carried on outwards, so that a white ground has no part
    in what the style is matched to."""
    core = ndimage.binary_erosion(change)
    core = core if core.any() else change
    if core.all() or not core.any():
        return photo
    rows, columns = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    return photo[rows, columns]


def resized(x: Float[np.ndarray, "n s s 3"], side: int) -> Float[np.ndarray, "n side side 3"]:
    """By area where smaller, by bicubic interpolation where larger."""
    how = "linear" if side < x.shape[1] else "cubic"
    return np.clip(jax.image.resize(x, (len(x), side, side, 3), how), -1, 1)


def cascade(way, content: Pictures, looks: Pictures, shares, strength: float, stages: int) -> list[Pictures]:
    """The result of every stage, at the full side: stage i of K works at 1/2^(K-1-i) of it, or at 32 px.

    What a stage's side cannot show is kept from before it, so that the last stage finds all of the content's detail.
    Wang 2020 (coarse-to-fine style transfer), with one network for all stages.
    """
    size, found = content.shape[1], [content]
    for i in range(stages):
        side = max(size // 2 ** (stages - 1 - i) // GRID * GRID, min(LEAST, size))
        now = found[-1]
        if side == size:
            found.append(np.asarray(way(now, looks, shares, strength)))
            continue
        small = resized(now, side)
        made = way(small, resized(looks, side), shares, strength)
        found.append(np.clip(now + resized(made, size) - resized(small, size), -1, 1))
    return found[1:]


def mix(content: Pictures, looks: Pictures, shares) -> tuple[Array, Array]:
    """The same styles and shares for every picture."""
    n = len(content)
    return jnp.broadcast_to(looks, (n, *looks.shape)), jnp.broadcast_to(shares, (n, len(shares)))


def one_pass(style, run: Run, seed: int, start: int, content: Pictures, looks: Pictures, shares, strength: float):
    """By the run's decoder; picture i has the key of place start + i."""
    keys = image_keys(seed, start, len(content))
    return style(run.params, keys, content, *mix(content, looks, shares), jnp.full(len(content), strength))


def train_pictures(
    run: Run, steps: int, seed: int, start: int, content: Pictures, looks: Pictures, shares, strength: float
):
    """By the loop that trains everything else. Nothing is drawn, so that the seed and the place change nothing."""
    del start
    eye, params = Eye(run.spec, file=run.recipe.method.eye), run.params
    wanted = mixed_grams(eye, params, *mix(content, looks, shares))
    method = gatys(GatysSettings(), eye, params, jnp.asarray(content), jnp.asarray(content), wanted, strength)
    return train_steps(method, steps, seed)[PICTURE]


def train_steps(method: Method, steps: int, seed: int) -> dict[str, np.ndarray]:
    """The parameters of a method that asks its batch for nothing, after so many steps of the one loop."""
    nothing = np.array([""])
    none = Split(np.zeros((1, GRID, GRID, 3), np.uint8), {}, nothing, nothing, nothing)
    ticks = loop(method, none, LoopSettings(batch=1), STILL, seed=seed, stop=steps, devices=1)
    return jax.tree.map(np.asarray, deque(ticks, maxlen=1).pop().host_state().params)
