"""How long it takes to score 5,000 pictures against 5,000 photos, feature extraction included, cold and warm.

python benchmarks/scoring.py PREPARED_SET --out FILE.json

The pictures are training photos with noise of 8 levels, so that none is a copy to the byte; the photos that they are
measured against are others of the training split, since no held-out split has as many.
"""

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path

import jax
import numpy as np

from prodgen_jax import evaluate, open_prepared
from prodgen_jax.training.features import feature_network

N = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    prepared = open_prepared(args.data)
    network, train, rng = feature_network(prepared), prepared.split("train"), np.random.default_rng(0)
    rows = rng.choice(len(train), N, replace=False)
    noise = rng.integers(-8, 9, (N, prepared.size, prepared.size, 3))
    images = (train.images[np.sort(rows)] + noise).clip(0, 255).astype(np.uint8)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        record = evaluate(images, prepared, network=network, against="train")
        seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    found = {
        "copies": record["copies"],
        "n": record["n"],
        "size": prepared.size,
        "cold": seconds[0],
        "warm": seconds[1],
        "peak_gb": peak,
    }
    found |= {"cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
