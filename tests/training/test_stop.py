"""Signals: the first asks, the second ends at once, though never while a write is begun, and all handlers go back."""

import signal
from signal import SIGINT, SIGTERM, raise_signal

import pytest

from prodgen_jax.errors import Preempted
from prodgen_jax.training.stop import Stop


def test_the_first_asks_and_the_second_raises():
    before = signal.getsignal(SIGINT)
    with Stop() as stop:
        assert stop.asked is None
        raise_signal(SIGTERM)
        assert stop.asked == SIGTERM
        with pytest.raises(KeyboardInterrupt, match="stopped at once"):
            raise_signal(SIGINT)
    assert signal.getsignal(SIGINT) is before


def test_a_second_signal_waits_while_a_write_is_begun():
    reached = []
    with Stop() as stop:
        raise_signal(SIGINT)
        with pytest.raises(KeyboardInterrupt, match="stopped at once"), stop.hold():
            raise_signal(SIGINT)
            reached.append("the end of the write's beginning")
    assert reached


@pytest.mark.parametrize(("number", "kind"), [(SIGINT, KeyboardInterrupt), (SIGTERM, Preempted)])
@pytest.mark.parametrize(("step", "said"), [(0, "before the first step"), (1200, "after step 1,200, which is saved")])
def test_what_was_asked_for_is_told(number, kind, step, said):
    with Stop() as stop:
        stop.tell(step)  # nothing was asked for
        raise_signal(number)
    with pytest.raises(kind, match=f"{said}; go on with --resume") as told:
        stop.tell(step)
    assert type(told.value) is kind
