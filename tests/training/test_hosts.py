"""Two processes of four devices are one process of eight, and only the first of them writes."""

import os
import signal
import socket
import time
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pytest

from prodgen_jax.data.loader import open_feed, order, order_of
from prodgen_jax.errors import InputError
from prodgen_jax.training.hosts import agree, leads, read, telling
from prodgen_jax.training.parallel import host_rows, share
from prodgen_jax.training.run import open_run
from prodgen_jax.training.track import read_metrics

DEVICES = "--xla_force_host_platform_device_count={}"
PATIENCE = 300  # seconds for what is started together, on a machine of two slow cores
LATE = """
import jax
from prodgen_jax.errors import InputError
from prodgen_jax.training.hosts import join
for _ in range(2):
    try:
        join("auto")
    except InputError as error:
        print(error)
    jax.devices()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def options(**settings):
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


USUAL = {"width": 8, "latent": 4, "batch": 16, "log_every": 1, "sheet_images": 4}
SMALL = {"vae": options(**USUAL, route="stream"), "dcgan": options(**USUAL, r1_every=2, stddev_group=2)}


def folder(out, i):
    """Where process i is told to write: all but the first must not even make it."""
    return f"{out}-{i}" if i else out


@pytest.fixture
def train(start, tiny):
    """train(out, method, *options, hosts=2, of_second=()): the processes of one `prodgen train` of eight devices."""

    def begin(out, method, *more, hosts=2, of_second=()):
        port, begun = free_port(), []
        for i in range(hosts):
            door = ("--hosts", f"127.0.0.1:{port},{hosts},{i}") if hosts > 1 else ()
            command = ("-m", "prodgen_jax.cli", "train", method, tiny.path, "--out", folder(out, i), *SMALL[method])
            own = of_second if i else ()
            begun.append(
                start(*command, *more, *own, *door, XLA_FLAGS=f"{os.environ['XLA_FLAGS']} {DEVICES.format(8 // hosts)}")
            )
        return begun

    return begin


class Ended(NamedTuple):
    out: str
    err: str


def ended(processes, code=0):
    """What each said. It must end with this code, and in time; else the test fails and `start` ends them."""
    until = time.monotonic() + PATIENCE
    said = [Ended(*process.communicate(timeout=max(1, until - time.monotonic()))) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), [e.err[-2000:] for e in said]
    return said


def end_of(run):
    """Its averaged parameters as one row of numbers, and what it logged of losses."""
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(run.params)]
    lines = [[line["step"], *(v for k, v in line.items() if k.startswith("loss/"))] for line in run.metrics]
    return np.concatenate(leaves), lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "way"), [pytest.param("vae", "pmap", marks=pytest.mark.long), ("dcgan", "shard_map")]
)
def test_two_processes_of_four_equal_one_of_eight(train, tmp_path, method, way):
    """From the start, and on from what they saved. The vae's pictures are streamed."""
    one, two, more = tmp_path / "one", tmp_path / "two", options(parallel=way)
    ended(train(one, method, "--steps", 4, *more, hosts=1))
    ended(train(two, method, "--steps", 2, *more))
    first, second = ended(train(two, method, "--steps", 4, *more, "--resume"))
    assert f"{method}, step 4" in first.out and f"{method}, step" not in second.out
    (wanted, lines), (found, said) = map(end_of, map(open_run, (one, two)))
    assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)  # as in test_loop
    assert len(said) == len(lines) and np.allclose(np.concatenate(said), np.concatenate(lines), 1e-3, 1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.slow
def test_what_one_process_is_asked_all_do_at_the_same_step(train, tmp_path):
    """SIGTERM reaches the second alone; what the first has saved says where both were."""
    processes = train(tmp_path / "run", "vae", "--minutes", 30)
    until = time.monotonic() + PATIENCE
    while not read_metrics(tmp_path / "run" / "metrics.jsonl") and time.monotonic() < until:
        assert [p.poll() for p in processes] == [None, None]
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGTERM)
    first, second = ended(processes)
    said = f"stopped by SIGTERM after step {open_run(tmp_path / 'run').step:,}, which is saved"
    assert said in first.err and said in second.err


@pytest.mark.long
def test_what_one_process_cannot_do_ends_all(train, tmp_path):
    """Before the first step: other settings; what is no set; a run that is there already; and in a step: no number."""
    out = tmp_path / "run"
    for each in ended(train(out, "vae", "--steps", 2, of_second=("--seed", 1)), code=2):
        assert "process 1 was started with another" in each.err
    first, second = ended(train(out, "vae", "--steps", 2, of_second=options(lr="fast")), code=2)
    assert "another process of this run failed" in first.err and "lr='fast'" in second.err
    assert not out.exists()
    first, second = ended(train(out, "vae", "--steps", 9, *options(lr=1e30)), code=2)
    assert "is nan" in first.err and "another process of this run failed" in second.err
    first, second = ended(train(out, "vae", "--steps", 9, *options(lr=1e30)), code=2)
    assert "add --resume" in first.err and "another process of this run failed" in second.err


# --- without other processes --------------------------------------------------------------------------------------


def test_the_hosts_parts_are_the_batch_s_rows_in_the_order_of_devices():
    rows = np.arange(3 * 16).reshape(3, 16)
    parts = [share(rows[:, host_rows(16, 2, host)], 4) for host in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), share(rows, 8))


def test_a_stream_reads_its_own_rows_alone(tiny):
    split, read_rows = tiny.split("train"), []

    class Images:
        nbytes, shape = split.images.nbytes, split.images.shape

        def __len__(self):
            return len(split)

        def __getitem__(self, rows):
            read_rows.append(np.array(rows))
            return split.images[rows]

    watched = replace(split, images=Images())
    source, indices = next(open_feed(watched, order_of(watched, 8, 0, host_rows(8, 2, 1)), "stream", 0).batches(0))
    assert source["image"].shape[0] == len(indices) == 4 and read_rows
    rows_of_second = order(len(split), 8, 0, host_rows(8, 2, 1))
    wanted = {tuple(rows_of_second(step)) for step in range(64)}  # it reads ahead, in threads
    assert {tuple(rows) for rows in list(read_rows)} <= wanted
    np.testing.assert_array_equal(rows_of_second(0), order(len(split), 8, 0)(0)[4:])


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("node0", "expected 'auto', or HOST:PORT,N,I"),
        ("node0:1234", "expected"),
        ("node0:1234,2", "expected"),
        ("node0:port,2,0", "expected"),
        (":1234,2,0", "expected"),
        ("node0:1234,2,one", "expected"),
        ("node0:1234,2,-1", "expected"),
        ("node0:1234,2,2", "of 2 processes the last is 1"),
    ],
)
def test_hosts_that_cannot_be(where, named):
    with pytest.raises(InputError, match=f"--hosts {where}: .*{named}"):
        read(where)


def test_hosts_that_can_be():
    assert read("auto") == {}
    assert read("[::1]:1234,4,3") == {"coordinator_address": "[::1]:1234", "num_processes": 4, "process_id": 3}


def test_joining_too_late_or_where_nobody_says_who_is_there(finish):
    """In processes of their own, for what is joined stays joined."""
    said = finish("-c", LATE)
    assert "--hosts auto: coordinator_address should be defined" in said and "must be called before" in said


def test_alone_nothing_is_agreed_with_anybody():
    assert agree(3) == 3 and leads()
    with pytest.raises(ZeroDivisionError), telling():
        _ = 1 / 0
