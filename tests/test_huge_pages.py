"""A command's process asks for large pages once, and leaves alone what the user has said."""

import os
import subprocess
import sys

import pytest

from prodgen_jax.cli.huge_pages import ASKED, VARIABLE

BEGUN = """
import os, sys
print(sys.argv[1:], os.environ.get("GLIBC_TUNABLES"), flush=True)
from prodgen_jax.cli.huge_pages import with_huge_pages
with_huge_pages()
"""


def begun(**said):
    """What each beginning of a process says of its arguments and of the variable."""
    env = {name: value for name, value in os.environ.items() if name != VARIABLE} | said
    command = [sys.executable, "-c", BEGUN, "one", "two words"]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is asked for")
def test_a_process_begins_anew_once_with_its_arguments():
    assert begun() == [f"['one', 'two words'] {said}" for said in (None, ASKED)]


def test_what_the_user_has_said_stays():
    assert begun(GLIBC_TUNABLES="glibc.malloc.check=0") == ["['one', 'two words'] glibc.malloc.check=0"]
