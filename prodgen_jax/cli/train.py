"""`prodgen train`: a method is trained into a run."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import METHOD_NAMES
from prodgen_jax.errors import InputError
from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("train", help="train a method on a prepared set into a run folder")
    p.add_argument("method", metavar="METHOD", help=f"one of {', '.join(METHOD_NAMES)}")
    p.add_argument("data", metavar="DIR", help="a prepared set")
    p.add_argument("--out", required=True, metavar="RUN", help="the run folder")
    p.add_argument("--steps", type=int, help="steps in all")
    p.add_argument("--minutes", type=float, help="minutes of training in all, compilation included")
    p.add_argument("--preset", default="cpu", help="cpu, gpu or tpu (default cpu)")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; an unknown key lists all"
    )
    p.add_argument("--settings", metavar="FILE", help="a best.json of `prodgen search`; --set goes before it")
    p.add_argument(
        "--from",
        dest="start",
        metavar="RUN",
        help="begin from what this run or model file has learned; its method's settings hold unless --set says "
        "otherwise. With --to: the attributes A=V,... of photos that are to become others",
    )
    p.add_argument("--to", metavar="A=V,...", help="the attributes of those others, for a method without pairs")
    p.add_argument("--devices", type=int, help="how many local devices (default all)")
    p.add_argument(
        "--hosts", metavar="auto|HOST:PORT,N,I", help="one run over many processes: TPU pods and Slurm say which by "
        "themselves, else: where process 0 listens, how many there are, which this is"
    )  # fmt: skip
    p.add_argument("--resume", action="store_true", help="go on with the run in RUN, if there is one")
    p.add_argument("--seed", type=int, default=0, help="of weights, data order and noise (default 0)")
    p.set_defaults(call=run)


def domains_of(args: argparse.Namespace) -> dict[str, str]:
    """The settings that --from and --to stand for; none without --to. InputError where they do not fit."""
    from prodgen_jax.methods import METHODS

    if not args.to:
        if "=" in (args.start or "") and not Path(args.start).exists():
            raise InputError(f"--from {args.start}: no such run; where it names photos, say by --to what they become")
        return {}
    if not args.start:
        raise InputError("--to: say by --from A=V,... which photos are to become these")
    if args.method in METHODS and not hasattr(METHODS[args.method].settings, "domain_b"):
        raise InputError(f"--to: a {args.method} knows no domains; train cyclegan")
    return {"domain_a": args.start, "domain_b": args.to}


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.training import hosts
    from prodgen_jax.training.fit import fit
    from prodgen_jax.training.recipe import recipe
    from prodgen_jax.training.run import open_run
    from prodgen_jax.training.space import best_settings
    from prodgen_jax.training.start import begun_with

    if args.hosts:
        hosts.join(args.hosts)
    with hosts.telling():
        domains = domains_of(args)
        start = open_run(args.start) if args.start and not domains else None
        chosen = begun_with(start, args.method) if start else {}
        chosen |= best_settings(args.settings, args.method) if args.settings else {}
        made = recipe(args.method, args.preset, **{**chosen, **domains, **parse_pairs(args.set, "--set")})
        prepared = open_prepared(args.data)
    run = fit(
        made,
        prepared,
        args.out,
        steps=args.steps,
        minutes=args.minutes,
        resume=args.resume,
        seed=args.seed,
        devices=args.devices,
        start=start,
    )
    if not hosts.leads():
        return
    print(f"{run.path}: {made.name}, step {run.step:,}, {run.seconds:.0f} s of training")
    if run.promise:
        said = "DP-SGD: epsilon {epsilon:.3g} at delta {delta:.2g} for each photo, while nobody knows the seed"
        print(said.format(**run.promise))
    if run.best:
        print("{path}/best: validation {metric} {value:.4g} at step {step:,}".format(path=run.path, **run.best))
