"""A model as one zip that draws without this package: its sampler as a program (`jax.export`), and its weights.

The program is StableHLO, lowered for CPU, CUDA and TPU; jax promises to read it for at least six months after it was
written. `deploy/portable.py` travels with it and shows how it is called.
"""

import json
import zipfile
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export
from jaxtyping import Int, UInt8
from safetensors.numpy import save

from prodgen_jax.data import words
from prodgen_jax.data.captions import unsaid
from prodgen_jax.data.images import to_uint8
from prodgen_jax.deploy import portable
from prodgen_jax.deploy.wish import check_servable
from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import named
from prodgen_jax.methods.spec import choose
from prodgen_jax.sampling.sample import picture_keys
from prodgen_jax.training.run import Run, drawing
from prodgen_jax.training.weights import NUMBERS, packed, unpacked

PLATFORMS = ("cpu", "cuda", "tpu")
AT_ONCE = 16  # pictures in a call
HOME, AWAY = "from prodgen_jax.data.words import", "from words import"  # where what reads words is, here and in a zip


def export_program(run: Run, path: str | Path, numbers: str = "bf16", settings: dict | None = None) -> None:
    """Writes `path`, *.zip, whole or not at all. numbers: fp32, bf16 or int8, of the weights; settings: of sampling.

    InputError where the run begins from pictures, or a setting is not one of sampling.
    """
    path = Path(path)
    check_servable(run)
    choose(NUMBERS, numbers, "numbers")
    method = run.sampling_with(settings) if settings else run.method
    params = drawing(run.params)
    kept = {}
    for name, leaf in named(params).items():
        kept |= packed(name, np.asarray(leaf), numbers)
    said = {name: unsaid(name, AT_ONCE) for name in method.conditions}
    facts = {
        "method": run.config["method"],
        "pixels": run.spec.size,
        "attributes": run.attributes,
        "words": run.config["words"],
        "conditions": {name: value.shape[1:] for name, value in said.items()},
        "at_once": AT_ONCE,
        "platforms": PLATFORMS,
        "origin": run.origin().texts(),  # what a file of its pictures says of itself
        "versions": {"jax": version("jax")},
    }
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    program, kept = lowered(method.sample, like, kept, said)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.partial")
    with zipfile.ZipFile(part, "w") as file:
        source = Path(portable.__file__).read_text(encoding="utf-8")
        file.writestr("__main__.py", source.replace(HOME, AWAY))
        file.writestr("words.py", Path(words.__file__).read_text(encoding="utf-8"))
        file.writestr("model.json", json.dumps(facts))
        file.writestr("weights.safetensors", save(kept))
        file.writestr("sampler.bin", program.serialize(), zipfile.ZIP_DEFLATED)
    part.replace(path)


def lowered(
    sample, like, kept: dict[str, np.ndarray], said: dict[str, np.ndarray]
) -> tuple[export.Exported, dict[str, np.ndarray]]:
    """The program (weights as they are kept, seeds, places, what is said) -> pictures, of AT_ONCE pictures; and those
    weights that it reads, for drawing asks no critic and no encoder."""
    tree = jax.tree_util.tree_structure(like)

    def draw(
        weights: dict[str, Array], seeds: Int[Array, "b"], places: Int[Array, "b"], told: dict[str, Array]
    ) -> UInt8[Array, "b h w 3"]:
        arrays = unpacked(weights)
        leaves = [arrays[n].astype(x.dtype) if n in arrays else jnp.zeros_like(x) for n, x in named(like).items()]
        return to_uint8(sample(jax.tree_util.tree_unflatten(tree, leaves), picture_keys(seeds, places), told))

    def exported(weights: dict[str, np.ndarray], platforms: tuple[str, ...]) -> export.Exported:
        whole = jax.ShapeDtypeStruct((AT_ONCE,), jnp.int32)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (weights, said))
        return export.export(jax.jit(draw), platforms=platforms)(shapes[0], whole, whole, shapes[1])

    try:
        read = exported(kept, PLATFORMS[:1]).module_kept_var_idx  # places in the order of the names
        kept = {name: kept[name] for place, name in enumerate(sorted(kept)) if place in read}
        return exported(kept, PLATFORMS), kept
    except NotImplementedError as error:
        raise InputError(f"this sampler cannot be exported ({error})") from error
