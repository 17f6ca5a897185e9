"""Two processes never train into one folder: each would overwrite what the other saves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prodgen_jax.errors import InputError

try:
    import fcntl
except ImportError:  # not a Unix system: nothing is kept apart there
    fcntl = None


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Holds `file`, which must exist, against every other `alone`; the system lets go of it when the process ends.

    InputError if another process holds it. A file system that knows no locks keeps nobody apart.
    """
    with file.open(encoding="utf-8") as held:
        try:
            if fcntl:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{file.parent}: another process is training this run now; wait for its end, or choose another folder"
            ) from None
        except OSError:
            pass
        yield
