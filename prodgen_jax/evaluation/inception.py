"""The real FID: the Frechet distance over the features of the published Inception graph (Heusel 2017).

Its weights are not ours to hand on. They are read from a file that a user has: the one that PyTorch's implementations
of the FID share, known by its hash, or a safetensors file with the same names, whose hash the user must say.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation import sets
from prodgen_jax.evaluation.torch_file import arrays
from prodgen_jax.nets import inception
from prodgen_jax.progress import Progress
from prodgen_jax.training.compiler import jitted

PUBLISHED = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # pt_inception-2015-12-05-6726825d.pth
HOOK = "inception="  # what `--features` begins with
EPSILON = 1e-3  # of the graph's batch normalization
BLOCK = 16  # pictures put through at once: 299 px take 60 MB each


@dataclass(frozen=True, eq=False)
class Inception:
    """The network with its weights, and the hash of the file that they are from."""

    weights: inception.Weights
    file_sha256: str

    def features(self, images: UInt8[Array, "n h w 3"], bar: Progress) -> Float[np.ndarray, "n 2048"]:
        """float32, for square pictures of any size. bar: advanced by every picture."""
        found = []
        for start in range(0, len(images), BLOCK):
            part = np.asarray(images[start : start + BLOCK])
            full = np.zeros((BLOCK, *part.shape[1:]), np.uint8)  # one shape, so one compilation
            full[: len(part)] = part
            found.append(np.asarray(self._forward(self.weights, full))[: len(part)])
            bar.advance(len(part))
        return np.concatenate(found)

    @cached_property
    def _forward(self):
        return jitted(lambda weights, images: inception.features(weights, to_signed(images)))


def open_inception(said: str) -> Inception:
    """The network from `inception=FILE`, or `inception=FILE@SHA256` for a file that is not the published one.

    InputError where the file is another than was said, has other weights, or cannot be read.
    """
    file, _, told = said.removeprefix(HOOK).partition("@")
    if not said.startswith(HOOK) or not file:
        raise InputError(f"--features {said}: expected {HOOK}FILE, the weights of the published graph")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"--features {said}: no such file {path}; README says where the published one is from")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != (told or PUBLISHED):
        reason = "not what was said" if told else f"not the published file's; if you trust it: {HOOK}{file}@{found}"
        raise InputError(f"{path}: its sha256 is {found}, {reason}")
    return Inception(folded(named_arrays(path), path), found)


def named_arrays(path: Path) -> Mapping[str, np.ndarray]:
    """{PyTorch's name: array} of a file. InputError where it is neither of the two kinds."""
    if path.suffix != ".safetensors":
        return arrays(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no safetensors file ({error})") from error


def folded(known: Mapping[str, np.ndarray], path: Path) -> dict[str, tuple[Array, Array]]:
    """Each convolution with the normalization after it as one kernel and one bias."""
    found = {}
    for name, shape in inception.shapes().items():
        try:
            kernel = known[f"{name}.conv.weight"].transpose(2, 3, 1, 0).astype(np.float64)
            gain, shift, mean, variance = (
                known[f"{name}.bn.{part}"].astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}: no weights of the FID's Inception graph, {error} is missing or odd") from error
        if kernel.shape != shape:
            raise InputError(f"{path}: {name} has a kernel of {kernel.shape}, the FID's graph one of {shape}")
        scale = gain / np.sqrt(variance + EPSILON)
        found[name] = jnp.asarray(kernel * scale, jnp.float32), jnp.asarray(shift - mean * scale, jnp.float32)
    return found


def fid_report(pictures: Mapping[str, UInt8[Array, "n h w 3"]], network: Inception) -> dict:
    """The FID and KID of each set of pictures to the one called "reference"; docs/records.md names the fields."""
    with Progress(sum(map(len, pictures.values())), "FID: Inception features") as bar:
        seen = {who: network.features(images, bar) for who, images in pictures.items()}
    reference = seen.pop("reference")
    found: dict = {"file_sha256": network.file_sha256, "published": network.file_sha256 == PUBLISHED}
    for who, features in seen.items():
        kid, kid_stderr = sets.kid(reference, features)
        fid = sets.frechet_distance(reference, features)
        found[who] = {"fid": fid, "kid": kid, "kid_stderr": kid_stderr, "n": len(features)}
    return {**found, "reference": len(reference)}
