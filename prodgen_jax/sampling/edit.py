"""Photos changed by a model: anew as a whole, in a part of them, or around the product.

What is kept is kept to the byte, at the photo's own size. The model works on a square of its own size; what it made
is enlarged and set in where the photo may change, and nowhere else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageColor

from prodgen_jax.data.foreground import silhouette
from prodgen_jax.data.images import square, to_rgb, to_signed, to_uint8
from prodgen_jax.errors import InputError
from prodgen_jax.methods.samplers import Kept
from prodgen_jax.sampling.sample import conditions, image_keys, portion
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run

Photo = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")  # of a folder, by their names' ends


def edit(
    run: Run,
    photos: Sequence[Photo],
    *,
    strength: float = 0.6,
    changes: Sequence[Mask] | None = None,
    seed: int = 0,
    where: Mapping[str, str] | None = None,
    text: str | Sequence[str] | None = None,
    settings: Mapping | None = None,
) -> list[Photo]:
    """Each photo as the run's model would have it, in as far as it may change.

    strength: share of the sampler's way that is gone again, in (0, 1]: near 0 hardly anything changes, 1 begins from
    noise alone. changes: per photo, of its size, True where it may change; the rest is the photo's own, byte for byte,
    and so is the result's size. None: all may change, and results have the model's size. where, text, settings: as
    `sample`'s. InputError where the method cannot edit, or masks do not fit their photos.
    """
    method = run.sampling_with(settings) if settings else run.method
    check(run, method, photos, strength, changes)
    size = run.spec.size
    small = np.stack([square(Image.fromarray(photo), size) for photo in photos])
    anew = np.ones(small.shape[:3], bool) if changes is None else np.stack([shrunk(mask, size) for mask in changes])
    cond = conditions(run, dict(where or {}), len(photos), text)
    made = play(method.edit, run.params, small, anew, cond, seed, strength)
    return list(made) if changes is None else [set_in(*row) for row in zip(photos, made, changes, strict=True)]


def check(run: Run, method, photos: Sequence[Photo], strength: float, changes: Sequence[Mask] | None) -> None:
    """InputError says what does not fit."""
    if method.edit is None:
        raise InputError(f"{run.path}: a {run.config['method']} cannot edit a photo; train ddpm, edm or flow")
    if not 0 < strength <= 1:
        raise InputError(f"strength={strength}: must lie above 0 and be at most 1")
    if not len(photos):
        raise InputError("no photo to edit")
    for i, (photo, mask) in enumerate(zip(photos, changes, strict=True) if changes is not None else ()):
        if mask.shape != photo.shape[:2]:
            raise InputError(f"photo {i}: is {photo.shape[:2]} pixels (rows, columns), its mask {mask.shape}")


def play(edit, params, small, anew, cond, seed: int, strength: float) -> UInt8[np.ndarray, "n h w 3"]:
    """`edit` over portions, each picture with the key of its place; the last portion is filled up."""
    compiled, done, n = jitted(edit), [], len(small)
    for start in range(0, n, portion()):
        rows = np.minimum(np.arange(start, start + min(portion(), n)), n - 1)
        kept = Kept(jnp.asarray(to_signed(small[rows])), jnp.asarray(~anew[rows][..., None], jnp.float32))
        part = {name: values[rows] for name, values in cond.items()}
        done.append(to_uint8(np.asarray(compiled(params, image_keys(seed, start, len(rows)), part, kept, strength))))
    return np.concatenate(done)[:n]


def shrunk(mask: Mask, size: int) -> Bool[np.ndarray, "size size"]:
    """Where the square of the model's size may change: where any of the photo's pixels beneath may."""
    small = square(Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert("RGB"), size)
    return small[..., 0] > 8


def set_in(photo: Photo, made: UInt8[np.ndarray, "s s 3"], change: Mask) -> Photo:
    """`made`, enlarged to the square around the photo, where the photo may change; the photo elsewhere."""
    height, width = photo.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    large = np.asarray(Image.fromarray(made).resize((side, side), Image.Resampling.LANCZOS))
    return np.where(change[..., None], large[top : top + height, left : left + width], photo)


# --- what may change ----------------------------------------------------------------------------------------------


def mask_of(only: str, photo: Photo) -> Mask:
    """`product`, `background`, or a picture file that is white where the photo may change. InputError if unreadable."""
    if only in ("product", "background"):
        return silhouette(photo) == (only == "product")
    found = np.asarray(open_photo(only, "L"))
    if found.shape != photo.shape[:2]:
        raise InputError(
            f"{only}: is {found.shape[1]} x {found.shape[0]} px, the photo {photo.shape[1]} x {photo.shape[0]}"
        )
    return found > 127


def with_background(photo: Photo, ground: str) -> Photo:
    """The photo's product, byte for byte, before a color (`white`, `#e8e0d8`) or a picture, cut to the photo's size."""
    height, width = photo.shape[:2]
    try:
        behind = np.full_like(photo, ImageColor.getrgb(ground)[:3])
    except ValueError:
        image = open_photo(ground)
        scale = max(width / image.width, height / image.height)
        grown = [max(a, round(b * scale)) for a, b in zip((width, height), image.size, strict=True)]
        behind = np.asarray(image.resize(grown, Image.Resampling.LANCZOS))[:height, :width]
    return np.where(silhouette(photo)[..., None], photo, behind)


def check_places(photos: Sequence[str | Path], places: Sequence[Path]) -> None:
    """InputError where a result would be written over a photo, or over another result."""
    given, times = {Path(photo).resolve() for photo in photos}, Counter(places)
    for photo, place in zip(photos, places, strict=True):
        if place.resolve() in given:
            raise InputError(f"{place}: is one of the photos; choose another folder for --out")
        if times[place] > 1:
            raise InputError(
                f"{photo}: another photo has the name {place.stem} too; edit them one call after the other"
            )


def listed(path: Path) -> list[Path]:
    """A photo, or the photos of a folder in the order of their names. InputError where a folder has none."""
    if not path.is_dir():
        return [path]
    found = sorted(inside for inside in path.iterdir() if inside.suffix.lower() in PICTURES)
    if not found:
        raise InputError(f"{path}: no photo in this folder; photos end in {', '.join(PICTURES)}")
    return found


def open_photo(path: str | Path, mode: str = "RGB") -> Image.Image:
    """A picture file, upright. InputError if it is none."""
    try:
        with Image.open(path) as image:
            return to_rgb(image).convert(mode)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no picture that can be read ({error})") from error
