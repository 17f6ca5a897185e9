"""One side of `benchmarks/speed.py`: whole training steps, and samples, in PyTorch. It has an environment of its own.

Says one JSON line when ready, then one for each line that it is told: `N` (the seconds of N steps), `draw PICTURES
CALLS SAMPLER STEPS EVALUATIONS` (the seconds of each call; DDIM with so many evaluations, whatever the sampler), `peak`
(MB of memory so far).

    python3.11 -m venv .venv-torch && .venv-torch/bin/pip install torch==2.13.0 numpy
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
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
    compiled = partial(torch.compile, dynamic=False)  # one program for each shape
    parameters, step, draw = FAMILIES[args.method](
        args.size, to, compiled if args.mode == "compile" else lambda net: net
    )

    def batch() -> torch.Tensor:
        x = pixels[torch.randint(0, len(pixels), (args.batch,), device=args.device)].float() / 127.5 - 1
        flip = torch.rand(args.batch, device=args.device) < 0.5
        return torch.where(flip[:, None, None, None], x.flip(-1), x).contiguous(memory_format=layout)

    def timed(run: Callable) -> float:
        start = time.perf_counter()
        run()
        if args.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def play(first: int, n: int) -> float:
        return timed(lambda: [step(i, batch()) for i in range(first, first + n)])

    def latencies(pictures: int, calls: int, evaluations: int) -> list[float]:
        with torch.no_grad():
            return [timed(lambda: draw(pictures, evaluations)) for _ in range(calls)]

    play(0, 18)  # both kinds of DCGAN's steps
    say(parameters=parameters, compile_s=round(time.perf_counter() - begun, 2), version=torch.__version__)
    at = 18
    for line in sys.stdin:
        match line.split():
            case ["draw", pictures, calls, _, _, evaluations]:
                say(latencies=latencies(int(pictures), int(calls), int(evaluations)))
            case ["peak"]:
                say(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            case [n]:
                say(seconds=play(at, int(n)))
                at += int(n)


if __name__ == "__main__":
    main()
