"""`prodgen`: a thin door. Each command reads its arguments, calls the package, and prints what it made.

Mistakes in the input end with one line on stderr and exit code 2, a stop by Ctrl-C that saved with 130, and one by
SIGTERM that saved with 0, as a preempted job should.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from prodgen_jax.errors import InputError, Preempted

# said here so that --help needs no jax; a test holds it equal to METHODS
METHOD_NAMES = ("dcgan", "cgan", "wgan_gp", "vae", "ddpm", "edm", "flow")


def parse_pairs(parts: Sequence[str], option: str) -> dict[str, str]:
    """`["a=1", "b=2"]` -> {"a": "1", "b": "2"}."""
    pairs = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (equals and key):
            raise InputError(f"{option} {part}: expected name=value")
        pairs[key.strip()] = value.strip()
    return pairs


def list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def run_prepare(args: argparse.Namespace) -> None:
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
    )
    audit = json.loads((done.path / "audit.json").read_text(encoding="utf-8"))
    print(f"columns: {Columns(**done.meta['columns']).describe()}")
    print(f"kept {audit['kept']:,} of {audit['rows']:,} rows; dropped: {audit['dropped'] or 'none'} (see audit.csv)")
    print(f"{done.path}: {done.size} px, " + ", ".join(f"{name} {n:,}" for name, n in done.splits.items()))


def run_train(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.training.fit import fit
    from prodgen_jax.training.recipe import recipe
    from prodgen_jax.training.space import best_settings

    chosen = best_settings(args.settings, args.method) if args.settings else {}
    made = recipe(args.method, args.preset, **{**chosen, **parse_pairs(args.set, "--set")})
    prepared = open_prepared(args.data)
    run = fit(
        made,
        prepared,
        args.out,
        steps=args.steps,
        minutes=args.minutes,
        resume=args.resume,
        seed=args.seed,
        devices=args.devices,
    )
    print(f"{run.path}: {made.name}, step {run.step:,}, {run.seconds:.0f} s of training")
    if run.best:
        print("{path}/best: validation {metric} {value:.4g} at step {step:,}".format(path=run.path, **run.best))


def run_search(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.evaluation.figures import save_figure
    from prodgen_jax.evaluation.search_figure import search_figure
    from prodgen_jax.training.search import search
    from prodgen_jax.training.space import read_json

    trials = search(
        args.method,
        open_prepared(args.data),
        args.out,
        trials=args.trials,
        steps=args.steps,
        minutes=args.minutes,
        space=read_json(args.space) if args.space else None,
        preset=args.preset,
        seed=args.seed,
        resume=args.resume,
        **parse_pairs(args.set, "--set"),
    )
    out = Path(args.out)
    states = [trial["state"] for trial in trials]
    ends = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    if "complete" not in states:
        raise InputError(f"{out}: no trial was completed ({ends})")
    best = read_json(out / "best.json")
    save_figure(search_figure(trials, best["metric"]), out / "search.png")
    print(f"{out}: {len(trials)} trials ({ends}); the plot is search.png")
    print(f"{out}/best.json: {best['metric']} {best['value']:.4g} by trial {best['trial']}: {best['settings']}")


def run_sample(args: argparse.Namespace) -> None:
    from prodgen_jax.sampling.sample import sample, save_samples
    from prodgen_jax.training.run import open_run

    where = parse_pairs(list_of(args.where or ""), "--where")
    images, labels = sample(open_run(args.run), args.n, args.seed, where, parse_pairs(args.set, "--set"))
    save_samples(args.out, images, labels)
    print(f"{args.out}: {len(images)} pictures of {images.shape[1]} px")


def run_evaluate(args: argparse.Namespace) -> None:
    from prodgen_jax.data.prepared import open_prepared
    from prodgen_jax.evaluation.control import load_asked
    from prodgen_jax.evaluation.evaluate import evaluate
    from prodgen_jax.evaluation.page import page
    from prodgen_jax.evaluation.runs import evaluate_run, in_words, write_record
    from prodgen_jax.sampling.sample import load_samples
    from prodgen_jax.training.run import open_run

    prepared, given = open_prepared(args.data), Path(args.samples)
    options = {"seed": args.seed, "name": given.stem, "category": args.category, "test_measures": args.self_test}
    if given.is_dir():
        record, images = evaluate_run(open_run(given), prepared, n=args.n, **options)
    else:
        images = load_samples(given)
        record = evaluate(images, prepared, asked=load_asked(given, prepared), **options)
    write_record(args.out, record)
    if args.page:
        Path(args.page).parent.mkdir(parents=True, exist_ok=True)
        Path(args.page).write_text(page(record, images, prepared), encoding="utf-8")
    print(f"{args.out}: " + "\n".join(in_words(record)))


def run_report(args: argparse.Namespace) -> None:
    from prodgen_jax.deploy.site import build_report

    page = build_report(
        Path(args.notebooks), Path(args.out), data=args.data, smoke=args.smoke, minutes=args.minutes, colab=args.colab
    )
    print(page)


def add_prepare(commands) -> None:
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
    p.set_defaults(call=run_prepare)


def add_train(commands) -> None:
    p = commands.add_parser("train", help="train a method on a prepared set into a run folder")
    p.add_argument("method", metavar="METHOD", help=f"one of {', '.join(METHOD_NAMES)}")
    p.add_argument("data", metavar="DIR", help="a prepared set")
    p.add_argument("--out", required=True, metavar="RUN", help="the run folder")
    p.add_argument("--steps", type=int, help="steps in all")
    p.add_argument("--minutes", type=float, help="minutes of training in all, compilation included")
    p.add_argument("--preset", default="cpu", help="cpu, gpu or tpu (default cpu)")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; an unknown key lists all"
    )
    p.add_argument("--settings", metavar="FILE", help="a best.json of `prodgen search`; --set goes before it")
    p.add_argument("--devices", type=int, help="how many local devices (default all)")
    p.add_argument("--resume", action="store_true", help="go on with the run in RUN, if there is one")
    p.add_argument("--seed", type=int, default=0, help="of weights, data order and noise (default 0)")
    p.set_defaults(call=run_train)


def add_search(commands) -> None:
    p = commands.add_parser("search", help="search a method's settings by its validation metric, at a fixed budget")
    p.add_argument("method", metavar="METHOD", help="one with a validation metric: vae, ddpm, ...; a GAN has none")
    p.add_argument("data", metavar="DIR", help="a prepared set")
    p.add_argument("--out", required=True, metavar="FOLDER", help="the search's folder")
    p.add_argument("--trials", type=int, default=20, help="how many in all (default 20)")
    p.add_argument("--steps", type=int, help="steps of each trial; the same seed then finds the same")
    p.add_argument("--minutes", type=float, help="minutes of training of each trial")
    p.add_argument(
        "--space", metavar="FILE.json",
        help='{"lr": {"low": 1e-4, "high": 1e-2, "log": true}, "latent": {"choices": [16, 32]}} (default: step sizes '
        "and width)",
    )  # fmt: skip
    p.add_argument("--preset", default="cpu", help="cpu, gpu or tpu (default cpu)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every trial")
    p.add_argument("--resume", action="store_true", help="go on with the search in FOLDER, if there is one")
    p.add_argument("--seed", type=int, default=0, help="of proposals and runs (default 0)")
    p.set_defaults(call=run_search)


def add_sample(commands) -> None:
    p = commands.add_parser("sample", help="draw pictures from a run")
    p.add_argument("run", metavar="RUN", help="a run folder")
    p.add_argument("-n", type=int, default=64, help="how many (default 64)")
    p.add_argument("--out", required=True, metavar="FILE.npz|FOLDER", help="one .npz, or a folder of PNG files")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same pictures (default 0)")
    p.add_argument("--where", metavar="A=V,...", help="attributes asked for; conditional runs only")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of sampling; an unknown key lists all",
    )
    p.set_defaults(call=run_sample)


def add_evaluate(commands) -> None:
    p = commands.add_parser("evaluate", help="measure samples beside the floor and the ceiling")
    p.add_argument("samples", metavar="RUN_OR_SAMPLES", help="a run folder or an .npz of samples")
    p.add_argument("data", metavar="DIR", help="the prepared set")
    p.add_argument("--out", required=True, metavar="FILE.json", help="the record")
    p.add_argument("-n", type=int, default=2000, help="how many pictures to draw from a run (default 2000)")
    p.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    p.add_argument("--category", metavar="A", help="attribute to measure by (default: the one with most values)")
    p.add_argument("--page", metavar="FILE.html", help="also one page, with every flagged copy beside its product")
    p.add_argument("--self-test", action="store_true", help="put every measure to its own test: noise, blur, copies")
    p.set_defaults(call=run_evaluate)


def add_report(commands) -> None:
    p = commands.add_parser("report", help="run all notebooks and build the HTML site")
    p.add_argument("--notebooks", default="notebooks", help="folder of the notebooks (default notebooks)")
    p.add_argument("--out", default="reports", help="folder of what is made (default reports)")
    p.add_argument("--data", help="a prepared set, a catalogue or a name (default: the demo shop)")
    p.add_argument("--smoke", action="store_true", help="tiny settings, to see that everything runs")
    p.add_argument("--minutes", type=float, help="minutes of each training (default: the notebooks' own)")
    p.add_argument("--colab", help="address of the folder of notebooks as Colab opens it, for links")
    p.set_defaults(call=run_report)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="prodgen", description="From a shop's catalogue to generated product photos.")
    commands = p.add_subparsers(metavar="COMMAND", required=True)
    for add in (add_prepare, add_train, add_search, add_sample, add_evaluate, add_report):
        add(commands)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 (a preemption that saved included), 2 for a mistake in the input, 130 for a stop by Ctrl-C."""
    args = parser().parse_args(argv)
    try:
        args.call(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except Preempted as stop:
        print(f"\n{stop}", file=sys.stderr)
    except KeyboardInterrupt as stop:
        print(f"\n{stop or 'stopped'}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
