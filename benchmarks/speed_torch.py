"""One side of `benchmarks/speed.py`: whole training steps in PyTorch. It runs in an environment of its own.

Says one JSON line when ready, then one for each line `N` it is told: the seconds of N steps. At the end: peak memory.

    python3.11 -m venv .venv-torch && .venv-torch/bin/pip install torch==2.13.0 numpy
"""

import argparse
import json
import os
import resource
import sys
import time
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads leave the cores to whoever has its turn

import torch
from torch_families import FAMILIES


def say(**facts) -> None:
    print(json.dumps(facts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=FAMILIES)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--layout", choices=("contiguous", "channels_last"), default="contiguous")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() if args.device == "cpu" else 1)
    torch.manual_seed(0)
    layout = torch.channels_last if args.layout == "channels_last" else torch.contiguous_format
    pixels = torch.randint(0, 256, (2048, 3, args.size, args.size), dtype=torch.uint8, device=args.device)
    to = partial(torch.nn.Module.to, device=args.device, memory_format=layout)
    begun = time.perf_counter()
    parameters, step = FAMILIES[args.method](
        args.size, to, torch.compile if args.mode == "compile" else lambda net: net
    )

    def batch() -> torch.Tensor:
        x = pixels[torch.randint(0, len(pixels), (args.batch,), device=args.device)].float() / 127.5 - 1
        flip = torch.rand(args.batch, device=args.device) < 0.5
        return torch.where(flip[:, None, None, None], x.flip(-1), x).contiguous(memory_format=layout)

    def play(first: int, n: int) -> float:
        start = time.perf_counter()
        for i in range(first, first + n):
            step(i, batch())
        if args.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    play(0, 18)  # both kinds of DCGAN's steps
    say(parameters=parameters, compile_s=round(time.perf_counter() - begun, 2), version=torch.__version__)
    at = 18
    for line in sys.stdin:
        n = int(line)
        say(seconds=play(at, n))
        at += n
    say(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    main()
