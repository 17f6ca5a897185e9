"""`prodgen translate`: other pictures are made of pictures."""

import argparse
from pathlib import Path

from prodgen_jax.cli.arguments import add_settings, add_wishes, wishes
from prodgen_jax.literals import parse_pairs


def add(commands) -> None:
    p = commands.add_parser("translate", help="make pictures of pictures: color, fill, complete, enlarge")
    p.add_argument("run", metavar="RUN", help="the run of a pix2pix, a cyclegan or a denoiser with a task")
    p.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, of which the run's task leaves a part")
    p.add_argument("--out", required=True, metavar="FOLDER", help="where results go, under the photos' names, as PNG")
    p.add_argument("--given", action="store_true", help="the pictures are such already: drawings of edges, small ones")
    add_wishes(p)
    add_settings(p)
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same pictures (default 0)")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from prodgen_jax.data.images import save_png
    from prodgen_jax.data.origin import CHANGED
    from prodgen_jax.sampling.edit import check_places, open_photo
    from prodgen_jax.sampling.translate import translate
    from prodgen_jax.training.run import open_run

    places = [Path(args.out) / f"{Path(path).stem}.png" for path in args.photos]
    check_places(args.photos, places)
    photos = [np.asarray(open_photo(path)) for path in args.photos]
    said = {**wishes(args), "settings": parse_pairs(args.set, "--set")}
    model = open_run(args.run)
    _, made = translate(model, photos, given=args.given, seed=args.seed, **said)
    for place, picture in zip(places, made, strict=True):
        save_png(place, picture, model.origin(CHANGED, seed=args.seed, **wishes(args)))
    print(f"{args.out}: {len(made)} pictures of {made.shape[1]} px")
