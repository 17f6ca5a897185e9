"""Ending a run when it is asked to: after the present step, or at once when asked twice."""

import signal
import threading

from prodgen_jax.errors import Preempted


class Stop:
    """`with Stop() as stop:` Ctrl-C or SIGTERM set `stop.asked`; a second one raises KeyboardInterrupt at once.

    Outside the main thread, where Python lets nobody catch signals, nothing is caught.
    """

    def __init__(self):
        self.asked: signal.Signals | None = None
        self.before = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM):
                self.before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(self, *_) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt("stopped at once; go on from the newest checkpoint with --resume")
        self.asked = signal.Signals(number)

    def tell(self, step: int) -> None:
        """Raises what was asked for, if anything was; `step` is saved. SIGTERM is a preemption, not a mistake."""
        if self.asked is None:
            return
        done = f"after step {step:,}, which is saved" if step else "before the first step"
        kind, sender = (Preempted, "by SIGTERM ") if self.asked == signal.SIGTERM else (KeyboardInterrupt, "")
        raise kind(f"stopped {sender}{done}; go on with --resume")
