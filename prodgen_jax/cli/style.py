"""`prodgen style`: photos take on the look of a fabric, a paper or a picture."""

import argparse
from pathlib import Path


def add(commands) -> None:
    p = commands.add_parser("style", help="give photos the look of a fabric, a paper or a picture")
    p.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="photos, or folders of them")
    p.add_argument(
        "--style",
        action="append",
        required=True,
        metavar="NAME_OR_PICTURE[=SHARE]",
        help="denim, plaid, polka, ikat, marble, wood, paper, or a picture file; several are mixed by their shares",
    )
    p.add_argument("--strength", type=float, default=0.8, help="how much of the style, 0 to 1 (default 0.8)")
    p.add_argument("--only", metavar="PART", help="product, background, or a mask: the rest stays to the byte")
    p.add_argument(
        "--stages", type=int, default=1, help="transfers one after the other, from coarse to fine (default 1)"
    )
    p.add_argument("--steps", type=int, default=0, help="train the pictures themselves so many steps: slower, closer")
    p.add_argument("--size", type=int, metavar="PX", help="side to work at (default: the largest photo's, 128 to 256)")
    p.add_argument("--model", default="pretrained:style64", metavar="RUN", help="the run of an adain (default: ours)")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same pictures (default 0)")
    p.add_argument("--out", required=True, metavar="FOLDER", help="where results go, under the photos' names, as PNG")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from prodgen_jax.data.images import save_png
    from prodgen_jax.data.origin import CHANGED
    from prodgen_jax.sampling.edit import check_places, listed, mask_of, open_photo
    from prodgen_jax.sampling.style import stylize
    from prodgen_jax.training.run import open_run

    paths = [path for given in args.photos for path in listed(Path(given))]
    places = [Path(args.out) / f"{path.stem}.png" for path in paths]
    check_places(paths, places)
    styles = shares(args.style)
    model, photos = open_run(args.model), [np.asarray(open_photo(path)) for path in paths]
    changes = [mask_of(args.only, photo) for photo in photos] if args.only else None
    how = {name: getattr(args, name) for name in ("strength", "stages", "steps", "size", "seed")}
    named = {Path(name).name: share for name, share in styles.items()}  # where a picture lay is nobody's business
    for place, picture in zip(places, stylize(model, photos, styles, changes=changes, **how), strict=True):
        save_png(place, picture, model.origin(CHANGED, styles=named, **how))
    print(f"{args.out}: {len(photos)} pictures")


def shares(styles: list[str]) -> dict[str, float]:
    """{style: its share}. InputError where a share is no number, or a style is said twice."""
    from prodgen_jax.errors import InputError

    found = {}
    for said in styles:
        name, _, share = said.rpartition("=") if "=" in said else (said, "", "")
        try:
            value = float(share or 1)
        except ValueError:
            raise InputError(f"--style {said}: the share '{share}' is no number; say NAME=0.5") from None
        if name in found:
            raise InputError(f"--style {name}: said twice")
        found[name] = value
    return found
