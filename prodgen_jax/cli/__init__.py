"""`prodgen`: a thin door, a file for each command. It reads its arguments, calls the package, and prints what it made.

Mistakes in the input end with one line on stderr and exit code 2, a stop by Ctrl-C that saved with 130, and one by
SIGTERM that saved with 0, as a preempted job should.
"""

import argparse
import sys
from collections.abc import Sequence

from prodgen_jax.cli import (
    compare,
    edit,
    evaluate,
    export,
    find,
    finish,
    prepare,
    prune,
    report,
    retrain,
    sample,
    search,
    serve,
    style,
    train,
    translate,
)  # fmt: skip
from prodgen_jax.cli.huge_pages import with_huge_pages
from prodgen_jax.errors import InputError, Preempted


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="prodgen", description="From a shop's catalogue to generated product photos.")
    commands = p.add_subparsers(metavar="COMMAND", required=True)
    for command in (
        prepare,
        train,
        search,
        sample,
        edit,
        translate,
        style,
        find,
        finish,
        evaluate,
        compare,
        export,
        prune,
        serve,
        retrain,
        report,
    ):
        command.add(commands)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 (a preemption that saved included), 2 for a mistake in the input, 130 for a stop by Ctrl-C.

    argv: what is asked; None: this process's own command line, and then the process is this command's alone.
    """
    if argv is None:
        with_huge_pages()
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
