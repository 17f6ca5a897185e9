"""`prodgen report`: the notebooks become a site."""

import argparse
from pathlib import Path


def add(commands) -> None:
    p = commands.add_parser("report", help="run all notebooks and build the HTML site")
    p.add_argument("--notebooks", default="notebooks", help="folder of the notebooks (default notebooks)")
    p.add_argument("--out", default="reports", help="folder of what is made (default reports)")
    p.add_argument("--data", help="a prepared set, a catalogue or a name (default: the demo shop)")
    p.add_argument("--smoke", action="store_true", help="tiny settings, to see that everything runs")
    p.add_argument("--minutes", type=float, help="minutes of each training (default: the notebooks'; 3 with --data)")
    p.add_argument("--colab", help="address of the folder of notebooks as Colab opens it, for links")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.deploy.site import build_report

    page = build_report(
        Path(args.notebooks), Path(args.out), data=args.data, smoke=args.smoke, minutes=args.minutes, colab=args.colab
    )
    print(page)
