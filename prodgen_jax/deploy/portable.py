"""Pictures from a model that was exported whole, by jax, flatbuffers, numpy, Pillow and safetensors alone.

    python model.zip -n 16 --where articleType=Watches --text "red" --seed 1 --out sheet.png

This file travels in the zip as its `__main__`, beside `sampler.bin` (the compiled sampler's program, for CPU, CUDA and
TPU), `weights.safetensors` and `model.json`.
"""

import argparse
import json
import math
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import deserialize

from prodgen_jax.data.words import words_of

TYPES = {"F32": np.float32, "BF16": jnp.bfloat16, "I8": np.int8}  # numbers that weights are kept in


def arrays_of(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file."""
    found = deserialize(data)
    return {name: np.frombuffer(at["data"], TYPES[at["dtype"]]).reshape(at["shape"]) for name, at in found}


class Model:
    """A zip made by `prodgen export`. `facts`: its method, pixels, attributes, words and what it was made with."""

    def __init__(self, path: str | Path):
        with zipfile.ZipFile(path) as file:
            self.facts = json.loads(file.read("model.json"))
            self.weights = arrays_of(file.read("weights.safetensors"))
            self.program = export.deserialize(bytearray(file.read("sampler.bin")))
        self.sampler = jax.jit(self.program.call)

    def told(self, n: int, where: dict[str, str], text: str) -> dict[str, np.ndarray]:
        """What the sampler is told, n times. ValueError names what it does not know."""
        shapes, attributes, words = self.facts["conditions"], self.facts["attributes"], self.facts["words"]
        known = attributes if "text" in shapes else {name: attributes[name] for name in shapes}
        for name, value in where.items():
            if value not in known.get(name, ()):
                raise ValueError(f"{name}={value}: it knows {known.get(name, list(known))}")
        said = {name: np.full((n, *shape), -1, np.int32) for name, shape in shapes.items()}
        for name in where.keys() & said.keys():
            said[name][:] = attributes[name].index(where[name])
        line = [words.index(word) for word in words_of(" ".join([*where.values(), text])) if word in words]
        if text and not line:
            raise ValueError(f"text '{text}': no word of it is known")
        if "text" in said:
            length = said["text"].shape[1]
            said["text"][:, : min(len(line), length)] = line[:length]
        return said

    def draw(self, n: int, seed: int = 0, where: dict[str, str] | None = None, text: str = "") -> np.ndarray:
        """n pictures, uint8 [n h w 3]; picture i depends on what is asked and on i alone."""
        at_once, made = self.facts["at_once"], []
        said = self.told(at_once, where or {}, text)
        for start in range(0, n, at_once):
            places = np.arange(start, start + at_once, dtype=np.int32)
            made.append(np.asarray(self.sampler(self.weights, np.full(at_once, seed, np.int32), places, said)))
        return np.concatenate(made)[:n]


def contact_sheet(images: np.ndarray) -> Image.Image:
    """The pictures in reading order, in a square, a white line between them."""
    n, height, width, _ = images.shape
    columns = math.ceil(math.sqrt(n))
    whole = Image.new("RGB", (columns * (width + 1) - 1, math.ceil(n / columns) * (height + 1) - 1), "white")
    for i, image in enumerate(images):
        whole.paste(Image.fromarray(image), (i % columns * (width + 1), i // columns * (height + 1)))
    return whole


def main() -> None:
    p = argparse.ArgumentParser(description="Draw pictures.")
    p.add_argument("-n", type=int, default=16, help="how many")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--where", action="append", default=[], metavar="A=V", help="an attribute asked for")
    p.add_argument("--text", default="", help="what is wanted, in words")
    p.add_argument("--out", required=True, metavar="FILE.png", help="a sheet")
    args = p.parse_args()
    where = dict(part.split("=", 1) for part in args.where)
    model, said = Model(Path(__file__).parent), PngInfo()
    try:
        images = model.draw(args.n, args.seed, where, args.text)
    except ValueError as error:
        p.error(str(error))
    for name, text in model.facts["origin"].items():
        said.add_itxt(name, text)
    contact_sheet(images).save(args.out, format="PNG", pnginfo=said)


if __name__ == "__main__":
    main()
