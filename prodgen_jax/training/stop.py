"""Ending a run when it is asked to: after the present step, or at once when asked twice."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prodgen_jax.errors import Preempted
from prodgen_jax.training.hosts import ENOUGH, agree

AT_ONCE = "stopped at once; go on from the newest checkpoint with --resume"


class Stop:
    """`with Stop() as stop:` Ctrl-C or SIGTERM set `stop.asked`; a second one raises KeyboardInterrupt at once.

    Outside the main thread, where Python lets nobody catch signals, nothing is caught.
    """

    def __init__(self):
        self.asked: signal.Signals | None = None
        self.before = {}
        self.held, self.again = False, False

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM):
                self.before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame) -> None:
        if self.asked and self.held:
            self.again = True
        elif self.asked:
            raise KeyboardInterrupt(AT_ONCE)
        else:
            self.asked = signal.Signals(number)

    def agreed(self, enough: bool) -> bool:
        """Whether the run ends here: any process was asked to, or has enough. What one was asked, all then were."""
        found = agree(int(self.asked or enough * ENOUGH))
        if found > ENOUGH:
            self.asked = signal.Signals(found)
        return bool(found)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """For the moment in which a write is begun: a second signal waits until it is over."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
        if self.again:
            raise KeyboardInterrupt(AT_ONCE)

    def tell(self, step: int) -> None:
        """Raises what was asked for, if anything was; `step` is saved. SIGTERM is a preemption, not a mistake."""
        if self.asked is None:
            return
        done = f"after step {step:,}, which is saved" if step else "before the first step"
        kind, sender = (Preempted, "by SIGTERM ") if self.asked == signal.SIGTERM else (KeyboardInterrupt, "")
        raise kind(f"stopped {sender}{done}; go on with --resume")
