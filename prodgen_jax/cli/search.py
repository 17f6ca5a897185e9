"""`prodgen search`: a method's settings are searched."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import add_settings
from prodgen_jax.errors import InputError
from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("search", help="search a method's settings by its validation metric, at a fixed budget")
    p.add_argument("method", metavar="METHOD", help="one with a validation metric: vae, ddpm, ...; a GAN has none")
    p.add_argument("data", metavar="DIR", help="a prepared set")
    p.add_argument("--out", required=True, metavar="FOLDER", help="the search's folder")
    p.add_argument("--trials", type=int, default=20, help="how many in all (default 20)")
    p.add_argument("--steps", type=int, help="steps of each trial; the same seed then finds the same")
    p.add_argument("--minutes", type=float, help="minutes of each trial, compilation included")
    p.add_argument(
        "--space", metavar="FILE.json",
        help='{"lr": {"low": 1e-4, "high": 1e-2, "log": true}, "latent": {"choices": [16, 32]}} (default: step sizes '
        "and width)",
    )  # fmt: skip
    p.add_argument("--preset", default="cpu", help="cpu, gpu or tpu (default cpu)")
    add_settings(p, "a setting of every trial")
    p.add_argument("--resume", action="store_true", help="go on with the search in FOLDER, if there is one")
    p.add_argument("--seed", type=int, default=0, help="of proposals and runs (default 0)")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.evaluation.figures import save_figure
    from prodgen_jax.evaluation.search_figure import search_figure
    from prodgen_jax.training.search import said, search
    from prodgen_jax.training.space import read_json

    trials = search(
        args.method,
        open_prepared(args.data),
        args.out,
        trials=args.trials,
        steps=args.steps,
        minutes=args.minutes,
        space=read_json(args.space) if args.space else None,
        preset=args.preset,
        seed=args.seed,
        resume=args.resume,
        **parse_pairs(args.set, "--set"),
    )
    out = Path(args.out)
    states = [trial["state"] for trial in trials]
    ends = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    if "complete" not in states:
        raise InputError(f"{out}: no trial was completed ({ends})")
    best = read_json(out / "best.json")
    save_figure(search_figure(trials, best["metric"]), out / "search.png")
    print(f"{out}: {len(trials)} trials ({ends}); the plot is search.png")
    print(f"{out}/best.json: {best['metric']} {best['value']:.4g} by trial {best['trial']}: {said(best['settings'])}")
    print(
        f"next: prodgen train {args.method} {args.data} --settings {out}/best.json --preset {best['preset']} --out RUN"
    )
