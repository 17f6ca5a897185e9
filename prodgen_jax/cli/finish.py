"""`prodgen finish`: pictures are made ready for a shop, and packed."""

import argparse
from functools import partial


def add(commands) -> None:
    p = commands.add_parser("finish", help="make pictures ready for a shop: no noise, plain ground, cropped, one size")
    p.add_argument("pictures", nargs="+", metavar="PICTURES", help="photos, folders of them, or samples.npz")
    p.add_argument("--denoise", action="store_true", help="take out noise, where there is any")
    p.add_argument("--ground", default="", metavar="COLOR", help="set the product before this color: white, #f4f4f4")
    p.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="crop to a square with the product in its middle, and so much around it",
    )
    p.add_argument("--size", type=int, default=0, metavar="PX", help="side of the results; needs --margin")
    p.add_argument(
        "--out",
        required=True,
        metavar="FOLDER|FILE.zip",
        help="PNG files and a products.csv that `prodgen prepare` reads",
    )
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.sampling.pack import opened, pack
    from prodgen_jax.sampling.postprocess import Finish, finished

    how = Finish(args.denoise, args.margin, args.size, args.ground)
    items = opened(args.pictures)
    pack(args.out, items, partial(finished, how=how), args.pictures)
    print(f"{args.out}: {len(items)} pictures")
