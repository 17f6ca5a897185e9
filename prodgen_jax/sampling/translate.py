"""Photos handed to a model that makes pictures of pictures (pix2pix and its like)."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from prodgen_jax.data.images import square, to_signed, to_uint8
from prodgen_jax.data.tasks import ENLARGED, enlarged
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import SOURCE
from prodgen_jax.sampling.sample import conditions, draw, portion
from prodgen_jax.training.run import Run

Photos = UInt8[np.ndarray, "n s s 3"]


def sources(run: Run, images: UInt8[Array, "n s s 3"]) -> Float[np.ndarray, "n s s 3"]:
    """What the run's task leaves of photos of its size, in [-1, 1]."""
    task = jax.jit(run.method.source)
    parts = [np.asarray(task(jnp.asarray(to_signed(part)))) for part in portions(images)]
    return np.concatenate(parts)


def portions(images: UInt8[Array, "n s s 3"]) -> list[UInt8[np.ndarray, "m s s 3"]]:
    at_once = portion()
    return [np.asarray(images[start : start + at_once]) for start in range(0, len(images), at_once)]


def translate(
    run: Run,
    photos: Sequence[UInt8[np.ndarray, "h w 3"]],
    *,
    given: bool = False,
    seed: int = 0,
    where: Mapping[str, str] | None = None,
    text: str | Sequence[str] | None = None,
    settings: Mapping | None = None,
) -> tuple[Photos, Photos]:
    """(what the model was given for each photo, what it made of it), squares of the model's size.

    given: the photos are such pictures already (drawings of edges, small pictures), and are given as they are. where,
    text, settings: as `sample`'s. InputError where the run does not begin from pictures, or there is no photo.
    """
    check(run)
    if not len(photos):
        raise InputError("no photo to translate")
    small = np.stack([square(Image.fromarray(photo), run.spec.size) for photo in photos])
    source = to_signed(small) if given else sources(run, small)
    cond = {SOURCE: source, **conditions(run, dict(where or {}), len(small), text)}
    method = run.sampling_with(settings) if settings else run.method
    return to_uint8(source), draw(method, run.params, len(small), seed, cond)


def upscale(run: Run, images: UInt8[Array, "n h w 3"], seed: int = 0) -> Photos:
    """Pictures as large as a run of task small2 or small4 makes them.

    InputError where the run's task is another, or enlarges pictures of another size.
    """
    check_upscale(run, images.shape[1])
    grow = jax.jit(lambda x: enlarged(x, run.spec.size // images.shape[1]))
    source = np.concatenate([np.asarray(grow(jnp.asarray(to_signed(part)))) for part in portions(images)])
    return draw(run.method, run.params, len(images), seed, {SOURCE: source})


def check_upscale(run: Run, size: int) -> None:
    """InputError where a run does not enlarge pictures of `size` pixels on a side."""
    check(run)
    times, large = enlarges(run), run.spec.size
    if not times or size * times != large:
        wanted = f"enlarges {large // times} px to {large}" if times else f"is for {task_of(run) or 'other things'}"
        raise InputError(f"{run.path}: {wanted}; the pictures have {size} px")


def enlarges(run: Run) -> int:
    """How many times larger its pictures are than what they are made of; 0 where that is not its task."""
    return {f"small{times}": times for times in ENLARGED}.get(task_of(run), 0)


def task_of(run: Run) -> str:
    """What its sources are, of `data.tasks`; nothing for a model between domains, whose sources are photos."""
    return getattr(run.recipe.method, "task", "")


def check(run: Run) -> None:
    """InputError where the run makes its pictures from noise."""
    if run.method.style is not None:
        raise InputError(f"{run.path}: gives pictures another look; use `prodgen style`")
    if run.method.source is None:
        raise InputError(
            f"{run.path}: a {run.config['method']} makes its pictures from noise; for pictures from pictures train "
            "pix2pix, or one of the denoisers with a task, or change photos with `prodgen edit`"
        )
