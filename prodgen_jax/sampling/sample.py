"""Pictures from a trained run. Picture i depends on the seed and i alone, not on how many are drawn at a time."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Key, UInt8

from prodgen_jax.data.captions import TEXT
from prodgen_jax.data.images import save_png, sheet, to_uint8
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Params
from prodgen_jax.progress import Progress, tell
from prodgen_jax.training.run import Run

PORTION = 64  # pictures per call of the compiled sampler


def image_keys(seed: int, start: int, n: int) -> Key[jax.Array, "n"]:
    """The keys of pictures start .. start + n - 1."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(start, start + n))


def draw(
    method: Method, params: Params, n: int, seed: int, cond: Mapping[str, Int[np.ndarray, "n ..."]] | None = None
) -> UInt8[np.ndarray, "n h w c"]:
    """n pictures as uint8. `cond`: {attribute: value index, text: word numbers [n l]}, -1 for not said."""
    sampler, done, more = jax.jit(method.sample), [], -n % PORTION
    cond = {name: np.concatenate([v, np.repeat(v[-1:], more, axis=0)]) for name, v in (cond or {}).items()}
    with Progress(n, "sampling") as bar:
        for start in range(0, n, PORTION):
            part = {name: jnp.asarray(values[start : start + PORTION]) for name, values in cond.items()}
            images = sampler(params, image_keys(seed, start, PORTION), part)
            done.append(to_uint8(np.asarray(images)))
            bar.advance(min(PORTION, n - start))
    return np.concatenate(done)[:n]


def conditions(
    run: Run, where: Mapping[str, str], n: int, text: str | None = None
) -> dict[str, Int[np.ndarray, "n ..."]]:
    """{attribute: its value's index, text: its words' numbers}, n times. InputError names what is not known."""
    known = [name for name in run.method.conditions if name != TEXT]
    if where and not known:
        raise InputError(f"{run.path}: this {run.config['method']} is not conditional on attributes; leave --where out")
    cond = {}
    for name, value in where.items():
        if name not in known:
            raise InputError(f"--where {name}: the run is conditional on {', '.join(known)}")
        values = run.attributes[name]
        if value not in values:
            raise InputError(f"--where {name}={value}: known values are {', '.join(values)}")
        cond[name] = np.full(n, values.index(value), np.int32)
    return cond if text is None else {**cond, TEXT: read(run, text, n)}


def read(run: Run, text: str, n: int) -> Int[np.ndarray, "n l"]:
    """The line's word numbers, n times. InputError where the run reads no text, or knows no word of this one."""
    if TEXT not in run.method.conditions:
        raise InputError(f"{run.path}: this run reads no text; train one with --set condition=text, or ask by --where")
    row, unknown = run.vocabulary.encode(text), run.vocabulary.unknown(text)
    if unknown:
        tell(f"text: not in the catalogue's words, and passed over: {', '.join(unknown)}")
    return np.tile(row, (n, 1))


def sample(
    run: Run,
    n: int,
    seed: int = 0,
    where: Mapping[str, str] | None = None,
    settings: Mapping | None = None,
    text: str | None = None,
) -> tuple[UInt8[np.ndarray, "n h w c"], dict[str, np.ndarray]]:
    """(n pictures, {attribute asked for: its value for each}) from a run's averaged parameters.

    settings: of sampling alone, in the place of the run's own: `{"sampler": "heun", "guidance": 2.0}`. text: a line
    that says what is wanted, for a run that reads text.
    """
    if n < 1:
        raise InputError(f"n={n}: ask for at least one picture")
    where = dict(where or {})
    method = run.sampling_with(settings) if settings else run.method
    images = draw(method, run.params, n, seed, conditions(run, where, n, text))
    asked = where if text is None else {**where, TEXT: text}
    return images, {name: np.full(n, value) for name, value in asked.items()}


def save_samples(path: str | Path, images: UInt8[np.ndarray, "n h w c"], labels: Mapping[str, np.ndarray]) -> None:
    """As one .npz (`images` and an array per attribute), one .png (a sheet), or numbered PNG files in a folder."""
    path = Path(path)
    if path.suffix == ".npz":
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            np.savez(file, images=images, **labels)
    elif path.suffix == ".png":
        save_png(path, sheet(images))
    else:
        for i, image in enumerate(images):
            save_png(path / f"{i:05d}.png", image)


def load_samples(path: str | Path) -> UInt8[np.ndarray, "n h w c"]:
    """The pictures of a .npz made by `save_samples`. InputError if there are none in it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            images = file["images"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: not an .npz with an array 'images'; make one with 'prodgen sample'") from error
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(f"{path}: 'images' is {images.dtype} {images.shape}; expected uint8 [n h w 3]")
    return images
