"""What a request asks for: a JSON object, checked field by field."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

from prodgen_jax.data.captions import EMBEDDING, unsaid
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import conditions
from prodgen_jax.training.run import Run

SEEDS = 2**31  # seeds are drawn, and taken, below this
LETTERS = 500  # of a line of words at most
FORMS = ("png", "json")


@dataclass(frozen=True)
class Wish:
    """n pictures of a seed, of attributes and words, in one of FORMS. Picture i depends on the wish and i alone."""

    n: int = 1
    seed: int = field(default_factory=lambda: secrets.randbelow(SEEDS))
    where: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    form: str = "png"


def read_wish(body: bytes) -> Wish:
    """The wish in a request's body. InputError names the field that cannot be."""
    try:
        said = json.loads(body or b"{}")
    except ValueError as error:
        raise InputError(f"body: not JSON ({error})") from error
    if not isinstance(said, dict):
        raise InputError("body: expected a JSON object")
    for name in said.keys() - Wish.__dataclass_fields__.keys():
        raise InputError(f"{name}: not a field; known are {', '.join(Wish.__dataclass_fields__)}")
    wish = Wish(**said)
    for name, least in (("n", 1), ("seed", 0)):
        value = getattr(wish, name)
        if type(value) is not int or not least <= value < SEEDS:
            raise InputError(f"{name}: {value!r}; expected a whole number, {least} or more and below {SEEDS}")
    if not isinstance(wish.where, dict) or not all(isinstance(value, str) for value in wish.where.values()):
        raise InputError('where: expected an object of texts, as {"articleType": "Watches"}')
    if wish.text is not None and (not isinstance(wish.text, str) or len(wish.text) > LETTERS):
        raise InputError(f"text: expected a line of at most {LETTERS} letters")
    if wish.form not in FORMS:
        raise InputError(f"form: {wish.form!r}; choose {' or '.join(FORMS)}")
    return wish


def check_servable(run: Run) -> None:
    """InputError unless the run draws from wishes alone."""
    kind = run.config["method"]
    if run.method.source is not None or run.method.domains or run.method.style is not None:
        raise InputError(f"{run.path}: a {kind} begins from pictures; only what draws from wishes can be served")
    if EMBEDDING in run.method.conditions:
        raise InputError(f"{run.path}: reads lines by an encoder from outside, which a server does not have")


def told(run: Run, wish: Wish) -> dict[str, Shaped[np.ndarray, "n ..."]]:
    """What the sampler is told, for every condition that it has, so that all wishes fit into one compiled program.

    InputError where the run does not know what is asked for.
    """
    if not run.method.conditions and (wish.where or wish.text is not None):
        raise InputError("where, text: this model cannot be told what to draw; leave them out")
    try:
        said = conditions(run, wish.where, wish.n, wish.text)
    except InputError as error:  # as the command line would say it, of a run that is nobody's business
        raise InputError(str(error).removeprefix(f"{run.path}: ").removeprefix("--")) from error
    return {name: said.get(name, unsaid(name, wish.n)) for name in run.method.conditions}
