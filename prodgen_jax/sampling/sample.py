"""Pictures from a trained run. Picture i depends on the seed and i alone, not on how many are drawn at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key, Shaped, UInt8

from prodgen_jax.data.captions import EMBEDDING, TEXT, Encoder, encoded
from prodgen_jax.data.images import save_png, sheet, to_uint8
from prodgen_jax.data.origin import Origin
from prodgen_jax.errors import InputError
from prodgen_jax.methods.core import Method, Params
from prodgen_jax.progress import Progress, tell
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.run import Run


def portion() -> int:
    """Pictures in a call of a compiled sampler: a CPU has no use for more at a time, and is sooner done with fewer."""
    return 16 if jax.default_backend() == "cpu" else 64


def image_keys(seed: int, start: int, n: int) -> Key[jax.Array, "n"]:
    """The keys of pictures start .. start + n - 1."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(start, start + n))


def picture_keys(seeds: Int[jax.Array, "n"], places: Int[jax.Array, "n"]) -> Key[jax.Array, "n"]:
    """The same of pictures with a seed each."""
    return jax.vmap(lambda seed, i: jax.random.fold_in(jax.random.key(seed), i))(seeds, places)


def draw(
    method: Method, params: Params, n: int, seed: int, cond: Mapping[str, Shaped[np.ndarray, "n ..."]] | None = None
) -> UInt8[np.ndarray, "n h w c"]:
    """n pictures as uint8. `cond`: {attribute: value index, text: word numbers [n l]}, -1 for not said."""
    sampler, done, at_once = jitted(method.sample), [], portion()
    more = -n % at_once
    cond = {name: np.concatenate([v, np.repeat(v[-1:], more, axis=0)]) for name, v in (cond or {}).items()}
    with Progress(n, "sampling") as bar:
        for start in range(0, n, at_once):
            part = {name: jnp.asarray(values[start : start + at_once]) for name, values in cond.items()}
            images = sampler(params, image_keys(seed, start, at_once), part)
            done.append(to_uint8(np.asarray(images)))
            bar.advance(min(at_once, n - start))
    return np.concatenate(done)[:n]


def conditions(
    run: Run,
    where: Mapping[str, str],
    n: int,
    text: str | Sequence[str] | None = None,
    encoder: Encoder | None = None,
) -> dict[str, Shaped[np.ndarray, "n ..."]]:
    """{attribute: its value's index, text: its words' numbers}, n times. InputError names what is not known.

    A run that reads text is told attributes in words as well, so that it can be asked for any of them. encoder: the
    one that the run learned with, which then makes `embedding` of the text.
    """
    told = run.method.conditions
    reads = TEXT in told or EMBEDDING in told
    askable = [name for name in (run.attributes if reads else told) if name != TEXT]
    if where and not askable:
        raise InputError(f"{run.path}: this {run.config['method']} is not conditional; leave --where out")
    if text is not None and not reads:
        raise InputError(f"{run.path}: this run reads no text; train one with --set condition=text, or ask by --where")
    cond = {}
    for name, value in where.items():
        if name not in askable:
            raise InputError(f"--where {name}: the run is conditional on {', '.join(askable)}")
        values = run.attributes[name]
        if value not in values:
            raise InputError(f"--where {name}={value}: known values are {', '.join(values)}")
        if name in told:
            cond[name] = np.full(n, values.index(value), np.int32)
    if not reads or (text is None and not where):
        return cond
    lines = [text or ""] * n if text is None or isinstance(text, str) else list(text)
    if len(lines) != n:
        raise InputError(f"text: {len(lines)} lines for {n} pictures; give one line for all, or one for each")
    lines = [" ".join([*where.values(), line]).strip() for line in lines]
    return {**cond, **(vectors(run, lines, encoder) if EMBEDDING in told else {TEXT: read(run, lines)})}


def vectors(run: Run, lines: list[str], encoder: Encoder | None) -> dict[str, Float[np.ndarray, "n d"]]:
    """What the encoder that the run learned with makes of lines. InputError where it is not there, or is another."""
    if encoder is None:
        raise InputError(
            f"{run.path}: reads lines by an encoder from outside; hand it over, as sample(..., encoder=...)"
        )
    found = encoded(lines, encoder)
    if found.shape[1] != run.spec.embedding:
        raise InputError(
            f"encoder: makes {found.shape[1]} numbers of a line, the run learned with {run.spec.embedding}"
        )
    return {EMBEDDING: found}


def read(run: Run, lines: Sequence[str]) -> Int[np.ndarray, "n l"]:
    """The lines' word numbers. InputError where the run knows no word of one; words that it passes over are told."""
    known = {line: run.vocabulary.encode(line) for line in dict.fromkeys(lines)}
    if unknown := dict.fromkeys(word for line in known for word in run.vocabulary.unknown(line)):
        tell(f"text: not in the catalogue's words, and passed over: {', '.join(unknown)}")
    return np.stack([known[line] for line in lines])


def sample(
    run: Run,
    n: int,
    seed: int = 0,
    where: Mapping[str, str] | None = None,
    settings: Mapping | None = None,
    text: str | Sequence[str] | None = None,
    encoder: Encoder | None = None,
) -> tuple[UInt8[np.ndarray, "n h w c"], dict[str, np.ndarray]]:
    """(n pictures, {attribute asked for: its value for each}) from a run's averaged parameters.

    settings: of sampling alone, in the place of the run's own: `{"sampler": "heun", "guidance": 2.0}`. text: a line
    that says what is wanted, or one for each picture, for a run that reads text. encoder: the one of its `fit`.
    """
    if n < 1:
        raise InputError(f"n={n}: ask for at least one picture")
    if run.method.source is not None:
        raise InputError(
            f"{run.path}: a {run.config['method']} begins from pictures; hand it some with `prodgen translate`"
        )
    where = dict(where or {})
    method = run.sampling_with(settings) if settings else run.method
    images = draw(method, run.params, n, seed, conditions(run, where, n, text, encoder))
    asked = where if text is None else {**where, TEXT: text}
    return images, {name: np.broadcast_to(value, n) for name, value in asked.items()}


def save_samples(
    path: str | Path,
    images: UInt8[np.ndarray, "n h w c"],
    labels: Mapping[str, np.ndarray],
    origin: Origin | None = None,
) -> None:
    """As one .npz (`images` and an array per attribute), one .png (a sheet), or numbered PNG files in a folder.

    origin: where they come from, which every file says: a PNG as `data.origin` tells, an .npz as JSON in `origin`.
    """
    path = Path(path)
    if path.suffix == ".npz":
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            np.savez(file, images=images, **labels, **({"origin": origin.text()} if origin else {}))
    elif path.suffix == ".png":
        save_png(path, sheet(images), origin)
    else:
        for i, image in enumerate(images):
            save_png(path / f"{i:05d}.png", image, origin and replace(origin, facts={**origin.facts, "place": i}))


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
