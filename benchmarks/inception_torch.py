"""What pytorch-fid's Inception sees of a picture, its weights drawn by formula: what test_inception.py compares with.

    python -m venv peer && peer/bin/pip install torch==2.13.0 torchvision pytorch-fid==0.3.0
    peer/bin/python benchmarks/inception_torch.py

Nothing of the project is imported, and no weights are downloaded. Prints the first eight features, and the mean of all.
"""

import zlib

import numpy as np
import torch

torch.library.register_fake = lambda *names, **options: lambda function: function  # torchvision may be of another torch
from pytorch_fid import inception  # noqa: E402


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter from its name alone, as the test draws it."""
    rng, part = np.random.default_rng(zlib.crc32(name.encode())), name.rsplit(".", 1)[-1]
    if len(shape) == 4:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if part in ("weight", "running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def main() -> None:
    made = {}

    def offline(*address, **options) -> dict:
        return made

    graph = inception._inception_v3  # as the package builds it, but for the download
    inception._inception_v3 = lambda *shape, **options: graph(num_classes=1008, aux_logits=False, weights=None)
    inception.load_state_dict_from_url = offline
    load = torch.nn.Module.load_state_dict

    def filled(module, state, *rest, **options):
        own = module.state_dict()
        ours = {n: torch.from_numpy(drawn(n, tuple(t.shape))) for n, t in own.items() if t.ndim}
        return load(module, {**own, **ours})

    torch.nn.Module.load_state_dict = filled
    network = inception.InceptionV3([3]).eval()
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        seen = network(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)[0].numpy().ravel()
    print(np.array2string(seen[:8], separator=", ", precision=6), f"mean {seen.mean():.6f}")


if __name__ == "__main__":
    main()
