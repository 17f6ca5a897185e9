"""`prodgen prepare`: a catalogue becomes a prepared set."""

import argparse
import json

from prodgen_jax.literals import list_of


def add(commands) -> None:
    p = commands.add_parser("prepare", help="a catalogue -> a checked, cleaned, split prepared set")
    p.add_argument("source", help="a CSV, JSON-lines or Parquet file, demo, demo:N (N photos), or tfds:NAME")
    p.add_argument("--out", required=True, help="folder of the prepared set; must not exist yet")
    p.add_argument("--images", help="folder or zip of the photos (default: beside SOURCE)")
    p.add_argument("--size", type=int, default=32, help="pixels on a side (default 32)")
    p.add_argument("--attributes", metavar="A,B,C", help="attribute columns (default: guessed and printed)")
    for column in ("id", "image", "text", "group"):
        p.add_argument(f"--{column}-column", metavar="C", help=f"the {column} column (default: guessed and printed)")
    p.add_argument("--val", type=float, default=0.05, help="share of the validation split (default 0.05)")
    p.add_argument("--test", type=float, default=0.05, help="share of the test split (default 0.05)")
    p.add_argument("--seed", type=int, default=0, help="seed of the split and of the demo shop (default 0)")
    p.add_argument(
        "--beam", metavar="OPTIONS", help="read the photos on Apache Beam: runner=DirectRunner,direct_num_workers=4"
    )
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.columns import Columns
    from prodgen_jax.data.prepare import prepare

    done = prepare(
        args.source,
        args.out,
        images=args.images,
        size=args.size,
        attributes=list_of(args.attributes) if args.attributes else None,
        id_column=args.id_column,
        image_column=args.image_column,
        text_column=args.text_column,
        group_column=args.group_column,
        validation=args.val,
        test=args.test,
        seed=args.seed,
        beam=args.beam,
    )
    audit = json.loads((done.path / "audit.json").read_text(encoding="utf-8"))
    print(f"columns: {Columns(**done.meta['columns']).describe()}")
    print(f"kept {audit['kept']:,} of {audit['rows']:,} rows; dropped: {audit['dropped'] or 'none'} (see audit.csv)")
    if found := audit.get("personal"):
        print(f"personal data taken out: {', '.join(f'{n} {kind}' for kind, n in found.items())} (see audit.csv)")
    print(f"{done.path}: {done.size} px, " + ", ".join(f"{name} {n:,}" for name, n in done.splits.items()))
