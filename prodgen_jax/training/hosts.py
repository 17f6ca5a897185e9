"""Many processes as one run: each has its own devices and reads its own share, and the first one keeps the run.

Every process runs the same program over the same steps. What one alone finds out (the time is up, SIGTERM, a full
disk) it tells the others by a vote, an all-reduce of one number: processes that end at different steps would wait
for each other without end. With one process every function here does nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather
from jaxtyping import PyTree

from prodgen_jax.errors import InputError

GO_ON, ENOUGH, FAILED = 0, 1, 255  # votes; between the last two lie the numbers of signals
LAST_WAIT = 60  # seconds that a process that ends waits for the others, should they be stuck
EXPECTED = "--hosts {}: expected 'auto', or HOST:PORT,N,I: where process 0 listens, how many there are, which this is"


def join(where: str) -> None:
    """Makes this process one of many. To be called before jax is used for anything.

    where: `auto` on a TPU pod, under Slurm or Open MPI, which say the rest by themselves; else `HOST:PORT,N,I`.
    InputError where that cannot be, or the others do not come within jax's five minutes.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # no other platform looks at it
    jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM to itself
    try:
        jax.distributed.initialize(**read(where), shutdown_timeout_seconds=LAST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--hosts {where}: {(str(error).splitlines() or ['failed'])[0][:300]}") from error


def read(where: str) -> dict:
    """What `jax.distributed.initialize` is given. InputError where `where` says neither of the two."""
    if where == "auto":
        return {}
    address, *numbers = where.split(",")
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and len(numbers) == 2 and all(n.isdecimal() for n in numbers)):
        raise InputError(EXPECTED.format(where))
    count, index = map(int, numbers)
    if not index < count:
        raise InputError(f"--hosts {where}: of {count} processes the last is {count - 1}")
    return {"coordinator_address": address, "num_processes": count, "process_id": index}


def leads() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def from_first(tree: PyTree) -> PyTree:
    """The first process's numbers, on all of them."""
    return broadcast_one_to_all(tree) if jax.process_count() > 1 else tree


def agree(vote: int = GO_ON) -> int:
    """The highest vote of all processes; each must call it at the same place. InputError if one of them failed."""
    found = int(process_allgather(np.int32(vote)).max())
    if found == FAILED != vote:
        raise InputError("another process of this run failed; what it said itself is the reason")
    return found


@contextmanager
def telling() -> Iterator[None]:
    """A failure in here is this process's vote when the others agree the next time. Not for what all do together."""
    try:
        yield
    except Exception:
        agree(FAILED)
        raise


def check_same_on_all(facts: Mapping) -> None:
    """InputError, in every process, where one was started with other facts than the first."""
    own = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()
    found = process_allgather(np.frombuffer(own, np.uint8)).reshape(-1, len(own))
    others = np.flatnonzero((found != found[0]).any(axis=1))
    if len(others):
        raise InputError(
            f"process {others[0]} was started with another method, settings, data, seed, versions or end than process 0"
        )
