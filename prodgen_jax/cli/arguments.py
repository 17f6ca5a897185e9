"""What the commands share in saying what they take."""

import argparse

from prodgen_jax.errors import InputError
from prodgen_jax.literals import list_of, parse_pairs

# said here so that --help needs no jax; a test holds it equal to METHODS
METHOD_NAMES = (
    "dcgan",
    "cgan",
    "wgan_gp",
    "stylegan",
    "progressive",
    "adagan",
    "ae",
    "vae",
    "cvae",
    "vaegan",
    "vqvae",
    "ddpm",
    "edm",
    "flow",
    "latent",
    "unclip",
    "pix2pix",
    "pix2pixhd",
    "srgan",
    "cyclegan",
    "adain",
    "consistency",
)


def add_wishes(p: argparse.ArgumentParser) -> None:
    """--where and --text, of a command that draws."""
    p.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="A=V",
        help="an attribute asked for, several with commas or each by itself; conditional runs only",
    )
    p.add_argument("--text", metavar="WORDS", help="what is wanted, in words; runs that are conditional on text only")


def add_settings(p: argparse.ArgumentParser, of: str = "a setting of sampling; an unknown key lists all") -> None:
    """--set, of a command that takes settings by name."""
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=of)


def wishes(args: argparse.Namespace) -> dict:
    """{"where", "text"} as `sample` and its like take them. InputError if an attribute is asked for twice."""
    parts = [part for said in args.where for part in list_of(said)]
    where = parse_pairs(parts, "--where")
    if len(where) < len(parts):
        raise InputError(f"--where {','.join(parts)}: names an attribute twice; ask for one value of each")
    return {"where": where, "text": args.text}
