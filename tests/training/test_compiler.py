import jax.numpy as jnp
import pytest

from prodgen_jax.training import compiler
from prodgen_jax.training.compiler import compiler_options, jitted


@pytest.fixture
def asked_anew():
    compiler_options.cache_clear()
    yield
    compiler_options.cache_clear()


def test_an_option_that_this_version_of_xla_does_not_know_is_left_out(monkeypatch, asked_anew):
    monkeypatch.setitem(compiler.OPTIONS, "cpu", {"xla_cpu_no_such_option": "1"})
    assert compiler_options("cpu") == {} == compiler_options("tpu")
    assert jitted(lambda x: x + 1)(1) == 2


def test_the_installed_version_knows_our_options(asked_anew):
    assert compiler_options("cpu") == compiler.OPTIONS["cpu"]


def test_jitted_takes_what_jit_takes():
    power = jitted(lambda x, n: x**n, static_argnums=1)
    assert power(jnp.float32(3), 2) == 9
