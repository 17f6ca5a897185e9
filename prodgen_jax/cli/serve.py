"""`prodgen serve`: a model behind HTTP; `prodgen key`: who may ask it."""

import argparse

from prodgen_jax.cli.arguments import add_settings
from prodgen_jax.errors import InputError
from prodgen_jax.literals import list_of, parse_pairs


def add(commands) -> None:
    p = commands.add_parser("serve", help="answer requests for pictures over HTTP: POST /generate, /healthz, /metrics")
    p.add_argument("run", metavar="RUN", help="a run folder or a model file that draws from wishes alone")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine alone)")
    p.add_argument("--port", type=int, default=8000, help="default 8000")
    p.add_argument(
        "--keys", metavar="FILE.toml", help="who may ask, made by `prodgen key`; without it, who is on this machine"
    )
    p.add_argument("--policy", metavar="FILE.toml", help="words that are refused, and words that are marked in the log")
    p.add_argument("--log", metavar="FILE.jsonl", help="a line for each request: whose key, what for, what was decided")
    p.add_argument("--pictures", type=int, default=64, help="that one request may have (default 64)")
    p.add_argument("--waiting", type=int, default=256, help="pictures that may wait; more are refused (default 256)")
    p.add_argument("--seconds", type=float, default=60.0, help="after which a request is given up (default 60)")
    add_settings(p)
    p.set_defaults(call=run)
    p = commands.add_parser("key", help="make a key for `prodgen serve --keys`; it is printed once")
    p.add_argument("name", metavar="NAME", help="who holds it")
    p.add_argument("--keys", required=True, metavar="FILE.toml", help="its hash is added to this file")
    p.add_argument("--scopes", default="generate", help="generate, metrics, or both with a comma (default generate)")
    p.add_argument("--per-minute", type=int, default=60, help="pictures that it may ask for (default 60)")
    p.set_defaults(call=key)


def run(args: argparse.Namespace) -> None:
    try:
        import prometheus_client  # noqa: F401
        import tornado  # noqa: F401
    except ImportError as error:
        raise InputError("a server needs Tornado: pip install 'prodgen-jax[serve]'") from error
    from prodgen_jax.deploy.access import read_keys
    from prodgen_jax.deploy.policy import NOTHING, Log, read_policy
    from prodgen_jax.deploy.routes import Room, Service
    from prodgen_jax.deploy.serve import check_host, serve
    from prodgen_jax.training.run import open_run

    keys, policy = read_keys(args.keys) if args.keys else {}, read_policy(args.policy) if args.policy else NOTHING
    check_host(args.host, keys)
    settings, log = parse_pairs(args.set, "--set"), Log(args.log)
    room = Room(pictures=args.pictures, waiting=args.waiting, seconds=args.seconds)
    service = Service(open_run(args.run), keys, room, settings=settings, policy=policy, log=log)
    serve(service, args.host, args.port)


def key(args: argparse.Namespace) -> None:
    from prodgen_jax.deploy.access import add_key

    print(add_key(args.keys, args.name, list_of(args.scopes), args.per_minute))
