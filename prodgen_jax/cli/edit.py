"""`prodgen edit`: photos are changed by a run's model."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import add_settings, add_wishes, wishes
from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("edit", help="change photos: anew, in a part, or around the product")
    p.add_argument("run", metavar="RUN", help="the run of a ddpm, edm or flow")
    p.add_argument("photos", nargs="+", metavar="PHOTO", help="picture files")
    p.add_argument("--out", required=True, metavar="FOLDER", help="where results go, under the photos' names, as PNG")
    p.add_argument(
        "--only",
        metavar="product|background|MASK.png",
        help="what may change, the rest stays to the byte; a mask is white there (default: all, at the model's size)",
    )
    p.add_argument(
        "--background", metavar="COLOR|PICTURE", help="what is set behind the product before the model begins"
    )
    p.add_argument(
        "--strength", type=float, help="from 0, nothing, to 1, from noise (default 0.6, with --background 0)"
    )
    add_wishes(p)
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same pictures (default 0)")
    add_settings(p)
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from prodgen_jax.data.images import save_png
    from prodgen_jax.data.origin import CHANGED
    from prodgen_jax.sampling.edit import check_places, edit, mask_of, open_photo, with_background
    from prodgen_jax.training.run import open_run

    places = [Path(args.out) / f"{Path(path).stem}.png" for path in args.photos]
    check_places(args.photos, places)
    model = open_run(args.run)
    photos = [np.asarray(open_photo(path)) for path in args.photos]
    only = args.only or ("background" if args.background else None)
    changes = [mask_of(only, photo) for photo in photos] if only else None
    if args.background:
        photos = [with_background(photo, args.background) for photo in photos]
    strength = args.strength if args.strength is not None else 0.0 if args.background else 0.6
    origin = None  # before another ground alone a photo is still a photo
    if strength or not args.background:
        said = {**wishes(args), "settings": parse_pairs(args.set, "--set")}
        photos = edit(model, photos, strength=strength, changes=changes, seed=args.seed, **said)
        part = Path(only).name if only else "all"  # where a mask lay is nobody's business
        origin = model.origin(CHANGED, seed=args.seed, strength=strength, only=part, **wishes(args))
    for place, photo in zip(places, photos, strict=True):
        save_png(place, photo, origin)
    print(f"{args.out}: {len(photos)} pictures")
