"""`prodgen evaluate`: samples are measured."""

import argparse
from pathlib import Path


def add(commands) -> None:
    p = commands.add_parser("evaluate", help="measure samples beside the floor and the ceiling")
    p.add_argument("samples", metavar="RUN_OR_SAMPLES", help="a run folder, a model file or an .npz of samples")
    p.add_argument("data", metavar="DIR", help="the prepared set")
    p.add_argument("--out", required=True, metavar="FILE.json", help="the record")
    p.add_argument("-n", type=int, default=2000, help="how many pictures to draw from a run (default 2000)")
    p.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    p.add_argument("--category", metavar="A", help="attribute to measure by (default: the one with most values)")
    p.add_argument("--page", metavar="FILE.html", help="also one page, with every flagged copy beside its product")
    p.add_argument("--self-test", action="store_true", help="put every measure to its own test: noise, blur, copies")
    p.add_argument("--useful", metavar="A", help="also what the samples teach classifiers of an attribute; minutes")
    p.add_argument("--bits", action="store_true", help="also what photos cost by a run's likelihood; minutes")
    p.add_argument("--membership", action="store_true", help="also whether a run gives away what it learned from")
    p.add_argument(
        "--few-labels", metavar="A", help="also how few labels name an attribute in what a run sees; minutes"
    )
    p.add_argument("--features", metavar="inception=FILE", help="also the real FID, over the published Inception graph")
    p.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.errors import InputError
    from prodgen_jax.evaluation.control import load_asked
    from prodgen_jax.evaluation.evaluate import evaluate
    from prodgen_jax.evaluation.inception import open_inception
    from prodgen_jax.evaluation.page import page
    from prodgen_jax.evaluation.runs import evaluate_run, in_words, write_record
    from prodgen_jax.sampling.sample import load_samples
    from prodgen_jax.training.run import open_run

    prepared, given = open_prepared(args.data), Path(args.samples)
    options = {"seed": args.seed, "name": given.stem, "category": args.category, "test_measures": args.self_test}
    options |= {"useful_for": args.useful, "inception": args.features and open_inception(args.features)}
    if given.suffix != ".npz":
        asked = {"bits": args.bits, "member": args.membership, "named_by_few": args.few_labels}
        record, images = evaluate_run(open_run(args.samples), prepared, n=args.n, **asked, **options)
    else:
        for name in ("bits", "membership", "few_labels"):
            if getattr(args, name):
                raise InputError(f"--{name.replace('_', '-')}: {given} holds samples; hand over the run that made them")
        images = load_samples(given)
        record = evaluate(images, prepared, asked=load_asked(given, prepared), **options)
    write_record(args.out, record)
    if args.page:
        Path(args.page).parent.mkdir(parents=True, exist_ok=True)
        Path(args.page).write_text(page(record, images, prepared), encoding="utf-8")
    print(f"{args.out}: " + "\n".join(in_words(record)))
