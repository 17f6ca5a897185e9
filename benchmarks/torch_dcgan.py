"""A PyTorch peer for the GANs: DCGAN (Radford 2016) as PyTorch's own "DCGAN tutorial" builds and trains it.

Transposed convolutions with batch normalization, weights from N(0, 0.02), binary cross-entropy, Adam with 2e-4 and
(0.5, 0.999) for both players, for photos of 32 px; `--width` sets its size. It gets what else helps and costs nothing:
mirrored photos, channels_last, and an average of its weights (EMA), drawn from beside the weights themselves. The
budget counts training alone, from the first step. The exact torch version is the build without CUDA packages:

    python3.11 -m venv .venv-torch && .venv-torch/bin/pip install torch==2.13.0 numpy
    .venv-torch/bin/python benchmarks/torch_dcgan.py --data runs/prepared --minutes 20 --out peer
"""

import argparse
import copy
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

LATENT = 100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set of 32 px: reads DIR/train/images.npy")
    parser.add_argument("--minutes", type=float, default=20.0, help="wall clock of training alone")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument(
        "--out", type=Path, required=True, help="OUT.npz, OUT-ema.npz and a .json beside each are written"
    )
    parser.add_argument("--width", type=int, default=37, help="the tutorial's ngf and ndf, channels")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged generator")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def players(width: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of the tutorial, one doubling less, since it draws 64 px."""

    def up(cin: int, cout: int, stride: int = 2, padding: int = 1) -> list[nn.Module]:
        return [nn.ConvTranspose2d(cin, cout, 4, stride, padding, bias=False), nn.BatchNorm2d(cout), nn.ReLU(True)]

    def down(cin: int, cout: int) -> list[nn.Module]:
        return [nn.Conv2d(cin, cout, 4, 2, 1, bias=False), nn.BatchNorm2d(cout), nn.LeakyReLU(0.2, True)]

    generator = nn.Sequential(
        *up(LATENT, 4 * width, 1, 0),
        *up(4 * width, 2 * width),
        *up(2 * width, width),
        nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, True),
        *down(width, 2 * width),
        *down(2 * width, 4 * width),
        nn.Conv2d(4 * width, 1, 4, 1, 0, bias=False),
        nn.Flatten(0),
    )
    for net in (generator, discriminator):
        for layer in net:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        net.to(memory_format=torch.channels_last)
    return generator, discriminator


def batches(images: Tensor, size: int):
    """Endless epochs of shuffled images, mirrored at random: float [b, 3, h, w] in [-1, 1]."""
    while True:
        for rows in torch.randperm(len(images))[: len(images) // size * size].split(size):
            batch = images[rows].float() / 127.5 - 1
            batch = torch.where((torch.rand(size) < 0.5)[:, None, None, None], batch.flip(-1), batch)
            yield batch.contiguous(memory_format=torch.channels_last)


def train(generator: nn.Module, discriminator: nn.Module, images: Tensor, args) -> tuple[nn.Module, dict]:
    """(the averaged generator, what it took)."""
    averaged, cross_entropy = copy.deepcopy(generator), nn.BCEWithLogitsLoss()
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)]
    stream, step, start, shown = batches(images, args.batch), 0, time.perf_counter(), 0.0
    real, fake = torch.ones(args.batch), torch.zeros(args.batch)
    while (elapsed := time.perf_counter() - start) < 60 * args.minutes:
        drawn = generator(torch.randn(args.batch, LATENT, 1, 1))
        adam[1].zero_grad(set_to_none=True)
        on_real, on_fake = discriminator(next(stream)), discriminator(drawn.detach())
        (loss := cross_entropy(on_real, real) + cross_entropy(on_fake, fake)).backward()
        adam[1].step()
        adam[0].zero_grad(set_to_none=True)
        cross_entropy(discriminator(drawn), real).backward()
        adam[0].step()
        with torch.no_grad():
            for slow, fast in zip(averaged.parameters(), generator.parameters(), strict=True):
                slow.lerp_(fast, 1 - args.ema)
        step += 1
        if elapsed - shown > 30:
            shown = elapsed
            print(f"step {step:,}  loss {loss.item():.3f}  {step * args.batch / elapsed:.0f} img/s", flush=True)
    return averaged, {"steps": step, "seconds": round(elapsed, 1), "images_per_s": round(step * args.batch / elapsed)}


@torch.no_grad()
def sample(generator: nn.Module, n: int, seed: int) -> np.ndarray:
    """uint8 [n, 32, 32, 3]. Normalized as in training, by the statistics of what is drawn together."""
    torch.manual_seed(seed)
    drawn = torch.cat([generator(torch.randn(min(500, n - i), LATENT, 1, 1)) for i in range(0, n, 500)])
    return ((drawn + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images = torch.from_numpy(np.load(args.data / "train" / "images.npy")).permute(0, 3, 1, 2)
    generator, discriminator = players(args.width)
    count = sum(p.numel() for net in (generator, discriminator) for p in net.parameters())
    print(f"{count:,} parameters, {len(images):,} images", flush=True)
    averaged, record = train(generator, discriminator, images, args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {k: v for k, v in vars(args).items() if not isinstance(v, Path)}
    record |= {
        "parameters": count,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "settings": settings,
    }
    for net, ending, said in ((generator, "", ""), (averaged, "-ema", ", averaged weights")):
        place = args.out.with_name(args.out.name + ending)
        np.savez(place.with_suffix(".npz"), images=sample(net, args.samples, args.seed))
        titled = {"title": f"PyTorch's DCGAN tutorial{said}", **record}
        place.with_suffix(".json").write_text(json.dumps(titled, indent=2) + "\n")


if __name__ == "__main__":
    main()
