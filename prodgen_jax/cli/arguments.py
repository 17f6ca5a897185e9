"""What the commands share in reading their arguments."""

from collections.abc import Sequence

from prodgen_jax.errors import InputError

# said here so that --help needs no jax; a test holds it equal to METHODS
METHOD_NAMES = (
    "dcgan",
    "cgan",
    "wgan_gp",
    "stylegan",
    "ae",
    "vae",
    "cvae",
    "vqvae",
    "ddpm",
    "edm",
    "flow",
    "pix2pix",
    "pix2pixhd",
    "srgan",
    "adain",
    "consistency",
)


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
