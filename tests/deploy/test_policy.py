"""A policy blocks what is planted, marks what is to be looked at, and lets the rest pass."""

import json

import pytest

from prodgen_jax.deploy.policy import ALLOW, BLOCK, NOTHING, REVIEW, Log, read_policy
from prodgen_jax.deploy.wish import Wish
from prodgen_jax.errors import InputError

FILE = 'block = ["gun", "Cigarettes", "blood red"]\nreview = ["nike", "gun"]\n'


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "policy.toml").write_text(FILE)
    return read_policy(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("a gun", BLOCK),
        ("GUNS, for men", BLOCK),
        ("ｇｕｎ", BLOCK),
        ("gün", BLOCK),
        ("cigarette", BLOCK),
        ("blood-red dress", BLOCK),
        ("red blood", ALLOW),
        ("begun", ALLOW),
        ("Nike shoes", REVIEW),
        ("nike gun", BLOCK),
        ("red dress", ALLOW),
        ("", ALLOW),
    ],
)
def test_what_is_planted_is_found(policy, line, verdict):
    assert policy.verdict(Wish(text=line))[0] == verdict
    assert policy.verdict(Wish(where={"name": line}))[0] == verdict
    assert NOTHING.verdict(Wish(text=line)) == (ALLOW, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("block = [", "not a policy file"),
        ("deny = ['a']", "deny is not known; choose of block, review"),
        ("block = 'gun'", "block: expected a list of words"),
        ("block = ['gun', '']", "block: expected a list of words"),
        ("review = [3]", "review: expected a list of words"),
    ],
)
def test_a_policy_that_cannot_be_is_named(tmp_path, text, said):
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(InputError, match=f"policy.toml.*{said}"):
        read_policy(tmp_path / "policy.toml")


def test_a_log_holds_a_line_for_each_wish(tmp_path):
    for _ in range(2):  # it is added to
        log = Log(tmp_path / "new" / "log.jsonl")
        log.write("shop", Wish(2, 7, {"type": "shoe"}, "Schühe"), REVIEW, "nike")
        log.close()
    lines = [json.loads(line) for line in (tmp_path / "new" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 2 and lines[0].pop("when") <= lines[1]["when"]
    asked = {"n": 2, "seed": 7, "where": {"type": "shoe"}, "text": "Schühe"}
    assert lines[0] == {"key": "shop", "verdict": REVIEW, "phrase": "nike", **asked}
    Log(None).write("shop", Wish(), ALLOW, "")
