"""`prodgen retrain`: a model in service learns from new products, and is replaced if the new one is no worse."""

import argparse
from dataclasses import fields


def add(commands) -> None:
    p = commands.add_parser("retrain", help="teach a model new products; it is only replaced by one that is no worse")
    p.add_argument("line", metavar="LINE", help="a folder: LINE/current is the model that serves")
    p.add_argument("data", metavar="DIR", help="the prepared set with the new products, and the known ones")
    p.add_argument("--from", dest="start", metavar="RUN", help="the model that a new line begins with")
    p.add_argument(
        "--before", metavar="DIR", help="the prepared set that the current model knows (default: as recorded)"
    )
    p.add_argument("--steps", type=int, help="of training, in all")
    p.add_argument("--minutes", type=float, help="of training, in all")
    p.add_argument("--seed", type=int, default=0, help="of training and samples (default 0)")
    p.add_argument("--gate", action="append", default=[], metavar="KEY=VALUE", help="a limit; an unknown key lists all")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.deploy.retrain import retrain
    from prodgen_jax.training.fit import check_numbers
    from prodgen_jax.training.run import open_run

    check_numbers(args.steps, args.minutes, args.seed)
    verdict = retrain(
        args.line,
        open_prepared(args.data),
        steps=args.steps,
        minutes=args.minutes,
        seed=args.seed,
        gates=gates_of(args.gate),
        start=open_run(args.start) if args.start else None,
        before=open_prepared(args.before) if args.before else None,
    )
    print(f"{args.line}: {'promoted' if verdict['promoted'] else 'not promoted'}: {verdict['why']}")


def gates_of(pairs: list[str]):
    """The limits. InputError lists them where a name is not one, and names a value that is no number."""
    from prodgen_jax.deploy.retrain import Gates
    from prodgen_jax.errors import InputError
    from prodgen_jax.literals import parse_pairs

    known = {field.name: field.type for field in fields(Gates)}
    found = parse_pairs(pairs, "--gate")
    for name, said in found.items():
        if name not in known:
            raise InputError(f"--gate {name}: not known; the gates are {', '.join(known)}")
        try:
            found[name] = known[name](said)
        except ValueError:
            raise InputError(f"--gate {name}={said}: no number") from None
    return Gates(**found)
