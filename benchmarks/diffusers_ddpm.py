"""A PyTorch peer for the diffusion family: `diffusers`' own U-Net and scheduler in a plain training loop.

It follows the "train a diffusion model" tutorial of diffusers (UNet2DModel, DDPMScheduler, epsilon MSE, AdamW, cosine
learning rate with warm-up, clip 1.0) and gives it the settings that help at this size: learning rate 2e-4, EMA, random
horizontal flips, DDIM-50 for sampling; by `--patch 2`, what makes the U-Net here fast: squares of pixels taken as one;
and by `--target v_prediction --schedule squaredcos_cap_v2` what of diffusers' own choices suits photos on white, whose
ground the tutorial's epsilon leaves grey. The budget counts training alone, from the first step.

Set-up, apart from the project's own environment (the exact torch version is the build without CUDA packages):

    python3.11 -m venv .venv-torch
    .venv-torch/bin/pip install torch==2.13.0 numpy pillow safetensors filelock requests regex importlib_metadata \
        huggingface_hub
    .venv-torch/bin/pip install --no-deps diffusers==0.42.1

    .venv-torch/bin/python benchmarks/diffusers_ddpm.py --data runs/prepared --minutes 20 --samples 2048 --out peer.npz
"""

import argparse
import json
import math
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched; keeps huggingface_hub from trying

import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file
from torch.nn.functional import pixel_shuffle, pixel_unshuffle


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set: reads DIR/train/images.npy")
    parser.add_argument("--minutes", type=float, default=20.0, help="wall clock of training alone")
    parser.add_argument("--steps", type=int, help="train for so many steps instead, to repeat a run on a busy machine")
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--out", type=Path, required=True, help="FILE.npz; FILE.json is written beside it")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=64, help="channels of the first level; the others have twice that")
    parser.add_argument("--patch", type=int, default=1, help="side of the squares of pixels taken as one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--ema", type=float, default=0.999, help="upper limit of the EMA decay, which warms up")
    parser.add_argument("--target", default="epsilon", choices=("epsilon", "v_prediction"))
    parser.add_argument("--schedule", default="linear", choices=("linear", "squaredcos_cap_v2"))
    parser.add_argument("--spacing", default="trailing", help="of DDIM's times; diffusers' default 'leading' never "
                        "visits the last one, where a white ground is decided")  # fmt: skip
    parser.add_argument("--weights", type=Path, help="sample from these weights of an earlier run and do not train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--channels-last", action="store_true", help="memory layout NHWC")
    parser.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler on CPU)")
    return parser.parse_args()


class Denoiser(torch.nn.Module):
    """The U-Net over squares of `patch` pixels: of three levels of two residual blocks, attention at the lowest."""

    def __init__(self, size: int, width: int, patch: int):
        super().__init__()
        self.unet, self.patch = unet(size // patch, width, 3 * patch**2), patch

    def forward(self, x: torch.Tensor, when: torch.Tensor) -> torch.Tensor:
        guess = self.unet(pixel_unshuffle(x, self.patch), when, return_dict=False)[0]
        return pixel_shuffle(guess, self.patch)


def unet(size: int, width: int, channels: int) -> UNet2DModel:
    return UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=2,
        block_out_channels=(width, 2 * width, 2 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=min(64, 2 * width),
        norm_num_groups=min(32, width),
    )


def batches(images: torch.Tensor, size: int, generator: torch.Generator):
    """Endless epochs of shuffled images, flipped at random: float [b, 3, h, w] in [-1, 1]."""
    size = min(size, len(images))
    while True:
        order = torch.randperm(len(images), generator=generator)
        for rows in order[: len(order) // size * size].split(size):
            batch = images[rows].float() / 127.5 - 1.0
            flip = torch.rand(len(batch), generator=generator) < 0.5
            yield torch.where(flip[:, None, None, None], batch.flip(-1), batch)


def report(step: int, seen: int, elapsed: float, done: float, loss: float) -> None:
    clock = time.strftime("%H:%M:%S")
    print(f"{clock}  step {step:6d}  loss {loss:.4f}  {seen / elapsed:7.1f} img/s  "
          f"{100 * done:.0f} % in {elapsed / 60:.1f} min", flush=True)  # fmt: skip


def train(model, args: argparse.Namespace, images: torch.Tensor) -> tuple[EMAModel, dict]:
    """The plain loop, until `args.minutes` have passed. The cosine runs over the time budget, since the
    number of steps is not known beforehand; with `args.steps` it runs over those.
    """
    noiser = DDPMScheduler(num_train_timesteps=1000, beta_schedule=args.schedule, prediction_type=args.target)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    ema = EMAModel(model.parameters(), decay=args.ema, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    step_model = torch.compile(model) if args.compile else model
    generator = torch.Generator().manual_seed(args.seed)
    stream, step, seen, losses = batches(images, args.batch, generator), 0, 0, []
    budget, start, shown = args.minutes * 60.0, time.perf_counter(), 0.0
    while (done := step / args.steps if args.steps else (time.perf_counter() - start) / budget) < 1:
        elapsed = time.perf_counter() - start
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1.0, (step + 1) / args.warmup) * 0.5 * (1.0 + math.cos(math.pi * done))
        clean = next(stream).to(args.device)
        if args.channels_last:
            clean = clean.contiguous(memory_format=torch.channels_last)
        noise = torch.randn(clean.shape, generator=generator).to(args.device)
        when = torch.randint(0, 1000, (len(clean),), generator=generator).to(args.device)
        guess = step_model(noiser.add_noise(clean, noise, when), when)
        wanted = noise if args.target == "epsilon" else noiser.get_velocity(clean, noise, when)
        loss = torch.nn.functional.mse_loss(guess, wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.step(model.parameters())
        step, seen = step + 1, seen + len(clean)
        losses = [*losses[-99:], loss.item()]
        if elapsed - shown > 10.0 or step == 1:
            shown = elapsed
            report(step, seen, time.perf_counter() - start, done, float(np.mean(losses)))
    seconds = time.perf_counter() - start
    report(step, seen, seconds, 1.0, float(np.mean(losses)))
    return ema, {"steps": step, "images_seen": seen, "seconds": round(seconds, 1),
            "images_per_s": round(seen / seconds, 1), "loss_last_100": float(np.mean(losses))}  # fmt: skip


@torch.no_grad()
def sample(model: Denoiser, args: argparse.Namespace, size: int, batch: int = 50) -> np.ndarray:
    """DDIM with 50 steps, eta 0: uint8 [n, size, size, 3]."""
    scheduler = DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule=args.schedule,
        prediction_type=args.target,
        timestep_spacing=args.spacing,
    )
    scheduler.set_timesteps(50)
    generator, sheets, n = torch.Generator().manual_seed(args.seed), [], args.samples
    for first in range(0, n, batch):
        x = torch.randn((min(batch, n - first), 3, size, size), generator=generator).to(args.device)
        for when in scheduler.timesteps:
            x = scheduler.step(model(x, when), when, x, eta=0.0).prev_sample
        print(f"{time.strftime('%H:%M:%S')}  sampled {first + len(x)} of {n}", flush=True)
        sheets.append(((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(sheets)


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    pixels = np.load(args.data / "train" / "images.npy")
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    model = Denoiser(pixels.shape[1], args.width, args.patch).to(args.device)
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters, {len(images):,} images", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.weights:
        model.load_state_dict(load_file(args.weights))
        record = json.loads(args.weights.with_suffix(".train.json").read_text())
    else:
        ema, record = train(model.train(), args, images)
        ema.copy_to(model.parameters())
        save_file(model.state_dict(), args.out.with_suffix(".safetensors"))
        args.out.with_suffix(".train.json").write_text(json.dumps(record) + "\n")
    start = time.perf_counter()
    drawn = sample(model.eval(), args, pixels.shape[1])
    seconds = time.perf_counter() - start
    sampler = f"DDIM-50, {args.spacing} times, EMA weights"
    squares = f", squares of {args.patch} x {args.patch}" if args.patch > 1 else ""
    goal = ", v and cosine" if args.target == "v_prediction" else ""
    record |= {"title": f"diffusers' UNet2D{squares}{goal}", "parameters": parameters,
               "train_images": len(images), "sampler": sampler,
               "sample_s": round(seconds, 1), "sample_images_per_s": round(len(drawn) / seconds, 2),
               "torch": torch.__version__, "diffusers": diffusers.__version__, "python": platform.python_version(),
               "settings": {k: v for k, v in vars(args).items() if not isinstance(v, Path)}}  # fmt: skip
    np.savez(args.out, images=drawn)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
