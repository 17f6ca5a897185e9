"""What fewer bits cost: models that come with the package, as they are and in int8, measured on the real catalogue.

python benchmarks/fewer_bits.py PREPARED_SET WORK --out docs/results

Writes docs/results/fewer_bits.json, which notebook 81 shows. Every number in it is its output.
"""

import argparse
import json
from pathlib import Path

from prodgen_jax import export, open_prepared, open_run
from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.runs import draw_asked
from prodgen_jax.training.run import Run

MODELS = {"stylegan32": 2000, "fashion32": 1000, "leaps32": 1000}  # {model: samples}
READ = "articleType"


def interval(record: dict, key: str) -> str:
    """A measure with its 95 % interval over pictures."""
    low, high = record["intervals"]["samples"][key]
    return f"{record['samples'][key]:.3g} ({low:.3g} to {high:.3g})"


def quality(run: Run, samples: int, prepared: PreparedSet) -> dict[str, str]:
    """What tables show of a model that is asked for what stands in the catalogue."""
    images, asked = draw_asked(run, prepared, samples, 0)
    record = evaluate(images, prepared, seed=0, asked=asked, judge=control_network(prepared))
    return {
        "FCD": interval(record, "fcd"),
        "precision": interval(record, "precision"),
        "recall": interval(record, "recall"),
        f"{READ} read as asked": f"{record['control']['attributes'][READ]['accuracy']:.1%}",
    }


def row(run: Run, name: str, numbers: str, prepared: PreparedSet) -> dict:
    about = {"model": name, "numbers": numbers, "mb": run.path.stat().st_size / 1e6}
    return about | quality(run, MODELS[name], prepared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    prepared, rows = open_prepared(args.data), []
    for name in MODELS:
        shipped = open_run(f"pretrained:{name}")
        export(shipped, args.work / f"{name}.safetensors", "int8")
        for numbers, run in (("bf16, as it comes", shipped), ("int8", open_run(args.work / f"{name}.safetensors"))):
            rows.append(row(run, name, numbers, prepared))
            print(rows[-1], flush=True)
    shown = [key for key in rows[0] if key not in ("model", "numbers", "mb")]
    (args.out / "fewer_bits.json").write_text(json.dumps({"shown": shown, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
