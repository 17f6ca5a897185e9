"""A model behind HTTP: a server for whoever may ask (`serve`), or for one's own notebook (`serving`).

What it answers stands in `routes`.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from socket import socket

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from prodgen_jax.deploy.access import Key
from prodgen_jax.deploy.routes import Service
from prodgen_jax.errors import InputError
from prodgen_jax.progress import tell

GOODBYE = 5.0  # seconds in which the last answers must have left


def check_host(host: str, keys: Mapping[str, Key]) -> None:
    """InputError where others than this machine could ask, and no keys are known."""
    if not keys and host not in ("127.0.0.1", "localhost", "::1"):
        raise InputError(
            f"--host {host}: without --keys anybody could ask; make one with `prodgen key NAME --keys keys.toml`"
        )


async def answer(service: Service, sockets: Sequence[socket], ending: asyncio.Event) -> None:
    """Answers until `ending` is set; then what waits is drawn and answered."""
    server = HTTPServer(service.application(), max_body_size=2**24)
    server.add_sockets(sockets)
    await ending.wait()
    await asyncio.get_running_loop().run_in_executor(None, service.batcher.close)  # meanwhile /healthz says so
    server.stop()
    until = time.monotonic() + GOODBYE
    while service.open and time.monotonic() < until:
        await asyncio.sleep(0.01)
    await server.close_all_connections()


def serve(service: Service, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answers until SIGTERM or Ctrl-C. OSError if the port is taken; InputError as `check_host`'s."""
    check_host(host, service.keys)
    sockets = bind_sockets(port, host)

    async def run() -> None:
        ending = asyncio.Event()
        for stop in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(stop, ending.set)
        tell(f"serving {service.run.path} on http://{host}:{sockets[0].getsockname()[1]}")
        await answer(service, sockets, ending)

    asyncio.run(run())


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """A server for this machine, in a thread and on any free port: gives its address, and ends with the block."""
    loop, ending, sockets = asyncio.new_event_loop(), asyncio.Event(), bind_sockets(0, "127.0.0.1")
    thread = threading.Thread(target=loop.run_until_complete, args=(answer(service, sockets, ending),), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()
