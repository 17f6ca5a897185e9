"""What a server answers: POST /generate, GET /, /healthz and /metrics.

    curl localhost:8000/generate -d '{"where": {"articleType": "Watches"}, "n": 4, "seed": 1}' -o watches.png

| code | when |
| --- | --- |
| 400 | a field cannot be: the answer names it |
| 401, 403 | no key that is known; a key without that scope |
| 413 | too many bytes, or more pictures than a request, or the key, may have |
| 429 | the key's pictures of this minute are spent: `Retry-After` says for how long |
| 451 | the policy does not allow it |
| 500 | the sampler failed; the server goes on |
| 503 | too much waits, or the server is about to end |
| 504 | it took too long |
"""

import asyncio
import base64
import io
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import UInt8
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from prodgen_jax.data.captions import TEXT
from prodgen_jax.data.images import save_png, sheet
from prodgen_jax.data.origin import Origin
from prodgen_jax.deploy.access import Key, Rates, key_of
from prodgen_jax.deploy.batcher import Batcher, Busy
from prodgen_jax.deploy.monitor import Limits, Monitor
from prodgen_jax.deploy.policy import BLOCK, NOTHING, Log, Policy
from prodgen_jax.deploy.wish import Wish, check_servable, read_wish
from prodgen_jax.errors import InputError
from prodgen_jax.training.run import Run

LOG = logging.getLogger(__name__)
REFERENCE = 128  # pictures that show the monitor what is usual
GONE = 499  # the code, for the counts alone, of a request whose client went away, as nginx has it


@dataclass(frozen=True)
class Room:
    """How much a server takes."""

    pictures: int = 64  # of one request
    waiting: int = 256  # pictures of all requests together
    body: int = 16_384  # bytes of a request
    seconds: float = 60.0  # until a request is given up
    linger: float = 0.0  # seconds that a call of the sampler waits for more; under load it fills by itself


@dataclass(eq=False)
class Service:
    """What the handlers share: a run that is ready to draw, who may ask, and what is watched."""

    run: Run
    keys: Mapping[str, Key] = field(default_factory=dict)
    room: Room = field(default_factory=Room)
    limits: Limits = field(default_factory=Limits)
    sizes: tuple[int, ...] | None = None  # pictures in a call of the sampler; None: the batcher's own
    settings: Mapping[str, str] = field(default_factory=dict)  # of sampling, in the place of the run's own
    devices: Sequence[jax.Device] | None = None  # None: all of this machine
    policy: Policy = NOTHING
    log: Log = field(default_factory=lambda: Log(None))

    def __post_init__(self) -> None:
        check_servable(self.run)
        self.rates, self.open = Rates(), 0  # requests that are not answered yet
        how = {"sizes": self.sizes, "devices": self.devices, "linger": self.room.linger, "most": self.room.waiting}
        self.batcher = Batcher(self.run, self.settings, **how)
        self.batcher.start()
        at_once = min(max(self.batcher.sizes), self.room.waiting)
        usual = [self.batcher.ask(Wish(at_once, seed)).result() for seed in range(math.ceil(REFERENCE / at_once))]
        self.monitor = Monitor(self.batcher, np.concatenate(usual), self.limits)
        self.batcher.seen = self.monitor.drawn

    def application(self) -> Application:
        routes = {"/": About, "/generate": Generate, "/healthz": Health, "/metrics": Metrics}
        rules = [(route, handler, {"service": self}) for route, handler in routes.items()]
        return Application(rules, default_handler_class=Lost, log_function=lambda handler: None)  # see /metrics


# --- routes -------------------------------------------------------------------------------------------------------


class Refused(HTTPError):
    """A code, and why, for who asked; and headers that go with it."""

    def __init__(self, code: int, why: object, **headers: str):
        super().__init__(code)
        self.why, self.headers = str(why), {name.replace("_", "-"): value for name, value in headers.items()}


class Answer(RequestHandler):
    """What all routes share: errors as JSON, times for the monitor, keys."""

    def initialize(self, service: Service | None = None) -> None:
        self.service = service
        if service is not None:
            service.open += 1

    def set_default_headers(self) -> None:
        self.set_header("Server", "prodgen")
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        for name, value in getattr(error, "headers", {}).items():
            self.set_header(name, value)
        self.finish({"error": error.why if isinstance(error, Refused) else self._reason})

    def log_exception(self, typ, value, tb) -> None:
        if not isinstance(value, HTTPError | StreamClosedError):
            LOG.error("%s failed", self.request.uri, exc_info=(typ, value, tb))

    def on_finish(self) -> None:
        if self.service is not None:
            self.service.open -= 1
            self.service.monitor.request(self.request.path, self.get_status(), self.request.request_time())

    def allowed(self, scope: str) -> Key:
        """The key of the request. 401 if it has none that is known, 403 if that key has not the scope."""
        key = key_of(self.request.headers.get("Authorization"), self.service.keys)
        if key is None:
            raise Refused(401, "no key that is known; send 'Authorization: Bearer KEY'", WWW_Authenticate="Bearer")
        if scope not in key.scopes:
            raise Refused(403, f"the key of {key.name} has not the scope '{scope}'")
        return key


class Lost(Answer):
    def prepare(self) -> None:
        raise Refused(404, "known are POST /generate, GET /, /healthz and /metrics")


class About(Answer):
    """What the model can be asked for."""

    def get(self) -> None:
        self.allowed("generate")
        run, reads = self.service.run, TEXT in self.service.run.method.conditions
        told = run.attributes if reads else run.method.conditions
        self.finish(
            {
                "model": self.service.run.identity,
                "method": run.config["method"],
                "pixels": run.spec.size,
                "pictures": self.service.room.pictures,
                "where": {name: run.attributes[name] for name in told},
                "text": reads,
            }
        )


class Health(Answer):
    """200 while pictures are drawn, with what is amiss; 503 when none are."""

    def get(self) -> None:
        service = self.service
        self.set_status(200 if service.batcher.alive else 503)
        self.finish(
            {
                "status": "ok" if service.batcher.alive else "ending",
                "model": service.run.identity,
                "waiting": service.batcher.waiting,
                "alarms": service.monitor.alarms(),
            }
        )


class Metrics(Answer):
    """For Prometheus."""

    def get(self) -> None:
        self.allowed("metrics")
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.service.monitor.exposition())


@stream_request_body
class Generate(Answer):
    """Pictures of a wish."""

    future = None

    def prepare(self) -> None:
        self.body = bytearray()
        if self.request.method != "POST":
            raise Refused(405, "POST a JSON object")
        self.key = self.allowed("generate")
        self.check_room(int(self.request.headers.get("Content-Length", 0)))

    def data_received(self, chunk: bytes) -> None:
        self.body += chunk
        self.check_room(len(self.body))

    def check_room(self, length: int) -> None:
        if length > self.service.room.body:
            raise Refused(413, f"body: {length} bytes; at most {self.service.room.body}")

    async def post(self) -> None:
        wish = self.wish()
        pictures = await self.drawn(wish)
        asked = {"seed": wish.seed, "where": dict(wish.where), "text": wish.text}
        origin = self.service.run.origin(**asked)
        self.set_header("X-Prodgen-Seed", str(wish.seed))
        self.set_header("X-Prodgen-Model", self.service.run.identity)
        if wish.form == "json":
            files = [png(one, self.service.run.origin(**asked, place=i)) for i, one in enumerate(pictures)]
            self.finish({**origin.facts, "pictures": [base64.b64encode(file).decode() for file in files]})
        else:
            self.set_header("Content-Type", "image/png")
            self.finish(png(sheet(pictures), origin))

    def wish(self) -> Wish:
        """What is asked for: 400 names what cannot be, 413 says that it is too much, 451 that it is not drawn."""
        try:
            wish = read_wish(bytes(self.body))
        except InputError as error:
            raise Refused(400, error) from error
        for most, whose in ((self.service.room.pictures, "a request"), (self.key.per_minute, "this key a minute")):
            if most and wish.n > most:
                raise Refused(413, f"n: {wish.n}; {whose} may have {most} pictures")
        verdict, phrase = self.service.policy.verdict(wish)
        self.service.log.write(self.key.name, wish, verdict, phrase)
        if verdict == BLOCK:
            raise Refused(451, f"'{phrase}' is not drawn here")
        return wish

    async def drawn(self, wish: Wish) -> UInt8[np.ndarray, "n h w 3"]:
        """Its pictures, when their turn has come."""
        service = self.service
        if wait := service.rates.take(self.key, wish.n, time.monotonic()):
            why = f"the key of {self.key.name} may have {self.key.per_minute} pictures a minute"
            raise Refused(429, why, Retry_After=str(math.ceil(wait)))
        try:
            self.future = service.batcher.ask(wish)
            return await asyncio.wait_for(asyncio.wrap_future(self.future), service.room.seconds)
        except InputError as error:
            service.rates.give_back(self.key, wish.n)
            raise Refused(400, error) from error
        except Busy as error:
            service.rates.give_back(self.key, wish.n)
            raise Refused(503, f"{error}; ask again", Retry_After="1") from error
        except TimeoutError as error:
            service.rates.give_back(self.key, wish.n)
            raise Refused(504, f"not drawn within {service.room.seconds:g} s") from error
        except asyncio.CancelledError as error:
            service.rates.give_back(self.key, wish.n)
            raise Refused(GONE, "nobody waits for it any more") from error
        except Exception as error:  # the batcher has logged it
            service.rates.give_back(self.key, wish.n)
            raise Refused(500, "the sampler failed") from error

    def on_connection_close(self) -> None:
        if self.future is not None:
            self.future.cancel()


def png(pixels: UInt8[np.ndarray, "h w 3"], origin: Origin) -> bytes:
    """A PNG file that says where it comes from."""
    file = io.BytesIO()
    save_png(file, pixels, origin)
    return file.getvalue()
