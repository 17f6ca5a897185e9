"""`prodgen find`: photos of a prepared set are found by words or by a picture."""

import argparse


def add(commands) -> None:
    p = commands.add_parser("find", help="find photos by words or by a picture")
    p.add_argument("run", metavar="RUN", help="the run of an unclip")
    p.add_argument("data", metavar="DIR", help="a prepared set, of the run's size")
    by = p.add_mutually_exclusive_group(required=True)
    by.add_argument("--text", metavar="WORDS", help="what is looked for, in words")
    by.add_argument("--picture", metavar="FILE", help="a picture of what is looked for")
    p.add_argument("--split", default="test", choices=("train", "validation", "test"), help="(default test)")
    p.add_argument("-n", type=int, default=16, help="how many (default 16)")
    p.add_argument("--out", metavar="FILE.png", help="a sheet of them, the nearest first")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from prodgen_jax.data.images import save_png, sheet, square
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.evaluation.retrieval import found, towers_of
    from prodgen_jax.sampling.edit import open_photo
    from prodgen_jax.sampling.sample import read
    from prodgen_jax.training.run import open_run

    model, split = open_run(args.run), open_prepared(args.data).split(args.split)
    towers_of(model)
    by_words = args.text is not None
    query = read(model, [args.text])[0] if by_words else square(open_photo(args.picture), model.spec.size)
    places, cosines = found(model, split.images, query, args.n)
    for place, cosine in zip(places, cosines, strict=True):
        print(f"{cosine:.3f}  {split.ids[place]}  {split.text[place]}".rstrip())
    if args.out:
        save_png(args.out, sheet(np.stack([split.images[place] for place in places])))
        print(f"{args.out}: {len(places)} pictures")
