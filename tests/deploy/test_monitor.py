"""Alarms: each injected fault raises its own, and a server that does well raises none."""

from types import SimpleNamespace

import numpy as np
import pytest

from prodgen_jax.deploy.monitor import Limits, Monitor

RNG = np.random.default_rng(0)
USUAL = (RNG.integers(60, 200, (300, 1, 1, 3)) + RNG.integers(-40, 40, (300, 8, 8, 3))).clip(0, 255).astype(np.uint8)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def monitor(clock):
    return Monitor(SimpleNamespace(waiting=3, working=2), USUAL[:150], Limits(age=100.0), clock)


def well(monitor, n=40):
    for i in range(n):
        monitor.request("/generate", 200, 0.2)
        monitor.drawn(USUAL[150 + i : 151 + i], 0.1)


def test_all_is_well(monitor):
    well(monitor)
    monitor.request("/generate", 400, 99.0)  # who asks for what cannot be waits for nothing
    assert monitor.alarms() == {}


@pytest.mark.parametrize(
    ("alarm", "fault"),
    [
        ("latency", lambda m: [m.request("/generate", 200, 30.0) for _ in range(10)]),
        ("errors", lambda m: [m.request("/generate", 500, 0.1) for _ in range(3)]),
        ("errors", lambda m: [m.request("/generate", 503, 0.1) for _ in range(3)]),
        ("blank", lambda m: m.drawn(np.full((10, 8, 8, 3), 128, np.uint8), 0.1)),
        ("strange", lambda m: m.drawn(USUAL[:60] // 3 + np.array([150, 0, 0], np.uint8), 0.1)),
    ],
)
def test_a_fault_raises_its_alarm_until_it_is_over(monitor, clock, alarm, fault):
    well(monitor)
    fault(monitor)
    assert alarm in monitor.alarms()
    assert f'prodgen_alarm{{alarm="{alarm}"}} 1.0' in monitor.exposition().decode()
    clock.now = 101.0
    well(monitor)
    assert monitor.alarms() == {}


def test_nothing_is_said_of_few(monitor):
    for _ in range(19):
        monitor.request("/generate", 500, 99.0)
        monitor.drawn(np.zeros((1, 8, 8, 3), np.uint8), 0.1)
    assert monitor.alarms() == {}
    monitor.request("/generate", 500, 99.0)
    assert monitor.alarms().keys() == {"errors"}


def test_what_happened_is_counted(monitor):
    well(monitor, 5)
    monitor.request("/healthz", 200, 0.1)
    text = monitor.exposition().decode()
    for line in (
        'prodgen_requests_total{code="200",route="/generate"} 5.0',
        'prodgen_request_seconds_count{route="/healthz"} 1.0',
        "prodgen_pictures_total 5.0",
        "prodgen_waiting_pictures 3.0",
        "prodgen_workers 2.0",
    ):
        assert line in text
