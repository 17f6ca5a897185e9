"""A server: its contract, code by code; batched equals unbatched; it survives a fault, and ends well."""

import base64
import io
import json
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import CancelledError, ThreadPoolExecutor

import jax
import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.images import sheet
from prodgen_jax.data.origin import GENERATED
from prodgen_jax.deploy.access import add_key, read_keys
from prodgen_jax.deploy.batcher import Batcher, Broken, Busy
from prodgen_jax.deploy.policy import Log, read_policy
from prodgen_jax.deploy.routes import Room, Service
from prodgen_jax.deploy.serve import check_host, serving
from prodgen_jax.deploy.wish import Wish, check_servable, read_wish, told
from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import open_run


@pytest.fixture(scope="module")
def told_run(tiny, tiny_recipe, tmp_path_factory):
    """A conditional GAN after two steps."""
    return fit(tiny_recipe("cgan"), tiny, tmp_path_factory.mktemp("served") / "cgan", steps=2)


# --- wishes -------------------------------------------------------------------------------------------------------


def test_a_wish_is_read_and_what_is_left_out_is_filled_in():
    wish = read_wish(b'{"n": 3, "seed": 7, "where": {"type": "shoe"}, "form": "json"}')
    assert wish == Wish(3, 7, {"type": "shoe"}, None, "json")
    first, second = read_wish(b""), read_wish(b"{}")
    assert first.n == 1 and first.form == "png" and first.seed != second.seed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "body: not JSON"),
        (b"\xff", "body: not JSON"),
        (b"[1]", "body: expected a JSON object"),
        (b'{"m": 1}', "m: not a field; known are n, seed"),
        (b'{"n": 0}', "n: 0"),
        (b'{"n": true}', "n: True"),
        (b'{"n": "3"}', "n: '3'"),
        (b'{"seed": -1}', "seed: -1"),
        (b'{"seed": 2147483648}', "seed: 2147483648"),
        (b'{"where": ["a"]}', "where: expected an object"),
        (b'{"where": {"a": 1}}', "where: expected an object"),
        (b'{"text": 1}', "text: expected a line"),
        (b'{"text": "' + b"a" * 501 + b'"}', "text: expected a line of at most 500"),
        (b'{"form": "gif"}', "form: 'gif'; choose png or json"),
    ],
)
def test_a_wish_that_cannot_be_names_its_field(body, said):
    with pytest.raises(InputError, match=re.escape(said)):
        read_wish(body)


def test_what_the_model_does_not_know_is_refused_without_its_place(told_run, run):
    for served, wish, said in (
        (told_run, Wish(where={"size": "L"}), "where size: the run is conditional on"),
        (told_run, Wish(where={"type": "hat"}), "where type=hat: known values are"),
        (told_run, Wish(text="red"), "this run reads no text"),
        (run, Wish(where={"type": "shoe"}), "cannot be told"),
    ):
        with pytest.raises(InputError, match=f"^[^/]*{said}"):
            told(served, wish)


@pytest.mark.parametrize("name", ["half32", "shirts32", "style64"])
def test_what_begins_from_pictures_is_not_served(name):
    with pytest.raises(InputError, match="begins from pictures"):
        check_servable(open_run(f"pretrained:{name}"))


# --- batches ------------------------------------------------------------------------------------------------------


@pytest.fixture
def batcher(told_run):
    made = Batcher(told_run, most=40)
    made.start()
    yield made
    made.close()


WISHES = [
    Wish(3, 1, {"type": "shoe"}),
    Wish(1, 2, {"type": "bag", "colour": "red"}),
    Wish(5, 3),
    Wish(2, 1, {"colour": "blue"}),
]


def test_batched_equals_unbatched_and_the_command_line(batcher, told_run):
    sizes = []
    batcher.seen = lambda pictures, seconds: sizes.append(len(pictures))
    alone = [batcher.ask(wish).result(60) for wish in WISHES]
    assert sizes == [3, 1, 5, 2]
    batcher.linger = 2.0  # so that they meet, on a slow machine as well
    futures = [batcher.ask(wish) for wish in WISHES]
    together = [future.result(60) for future in futures]
    assert sizes[4:] == [11]
    for wish, one, many in zip(WISHES, alone, together, strict=True):
        drawn = sample(told_run, wish.n, wish.seed, wish.where)[0]
        for other in (many, drawn):
            assert np.abs(one.astype(int) - other).max() <= 1  # programs for other sizes may round otherwise


def test_a_wish_larger_than_a_call_comes_in_parts(batcher):
    large, small = batcher.ask(Wish(33, 5)), batcher.ask(Wish(1, 5))
    assert large.result(60).shape == (33, 8, 8, 3)
    assert np.abs(large.result()[0].astype(int) - small.result(60)[0]).max() <= 1


def test_too_much_is_refused_and_what_is_canceled_is_not_drawn(batcher):
    drawn, batcher.linger = [], 2.0
    batcher.seen = lambda pictures, seconds: drawn.append(len(pictures))
    waits = [batcher.ask(Wish(10, i)) for i in range(1)]
    gone = batcher.ask(Wish(3, 9))
    with pytest.raises(Busy):
        batcher.ask(Wish(40, 1))
    assert gone.cancel()
    assert waits[0].result(60).shape[0] == 10
    with pytest.raises(CancelledError):
        gone.result(60)
    assert sum(drawn) == 10


def test_a_fault_fails_those_that_it_met_and_nobody_else(batcher):
    right = batcher.sampler
    for broken, error in ((lambda *_: 1 / 0, ZeroDivisionError),
                          (lambda params, keys, said: np.full((len(keys), 8, 8, 3), np.nan), Broken)):  # fmt: skip
        batcher.sampler = broken
        with pytest.raises(error):
            batcher.ask(Wish(2, 1)).result(60)
        batcher.sampler = right
        assert batcher.ask(Wish(2, 1)).result(60).shape == (2, 8, 8, 3)


def test_more_workers_under_load_and_fewer_after(told_run):
    """As many as there are devices, and all at once: the first calls wait until so many are under way."""
    begun, together = [], threading.Event()
    batcher = Batcher(told_run, sizes=(4,), linger=0.0, devices=jax.devices()[:1] * 3, idle=0.2)
    batcher.start()
    assert batcher.ask(Wish(4, 1)).result(60).shape[0] == 4 and batcher.working == 1  # no more than one call holds
    right = batcher.sampler

    def meet(*args):
        begun.append(threading.current_thread())
        if len(set(begun)) == 3:
            together.set()
        assert together.wait(60)
        return right(*args)

    batcher.sampler = meet
    futures = [batcher.ask(Wish(6, seed)) for seed in range(4)]  # in calls of four, so that wishes are parted
    pictures = [future.result(60) for future in futures]
    batcher.sampler = right
    for seed, many in enumerate(pictures):
        assert np.abs(many.astype(int) - sample(told_run, 6, seed)[0]).max() <= 1
    waits(lambda: batcher.working == 1)
    assert batcher.ask(Wish(1, 1)).result(60).shape[0] == 1
    batcher.close()
    assert batcher.working == 0


def test_the_end_draws_what_waits(batcher):
    future = batcher.ask(Wish(3, 1))
    batcher.close()
    assert future.result(0).shape[0] == 3 and not batcher.alive
    with pytest.raises(Busy):
        batcher.ask(Wish(1, 1))


# --- the server ---------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def server(told_run, tmp_path_factory):
    """(service, ask, {scope: key}): a server in a thread; ask(path, body, key) -> (code, headers, bytes)."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    secrets = {name: add_key(path, name, [name], 40) for name in ("generate", "metrics")}
    service = Service(told_run, read_keys(path), Room(pictures=30, waiting=64, seconds=20.0))

    def ask(path, body=None, key="generate", **headers):
        said = {"Authorization": f"Bearer {secrets.get(key, key)}"} if key else {}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(f"{address}{path}", data, {**said, **headers})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    ask.keys = secrets
    with serving(service) as address:
        service.port = int(address.rpartition(":")[2])
        yield service, ask


@pytest.fixture
def ask(server):
    """ask, with every key's bucket full."""
    server[0].rates._left.clear()
    return server[1]


def drawn_so_far(ask):
    return float(re.search(r"(?m)^prodgen_pictures_total (\S+)", ask("/metrics", key="metrics")[2].decode())[1])


def waits(until):
    """Returns when it is so; fails when it is not soon."""
    for _ in range(500):
        if until():
            return
        threading.Event().wait(0.02)
    raise AssertionError("not within ten seconds")


def error_of(answer):
    code, _, body = answer
    return code, json.loads(body)["error"]


def test_pictures_come_as_they_were_asked_for(ask, told_run):
    wish = {"n": 4, "seed": 3, "where": {"type": "shoe"}}
    code, headers, body = ask("/generate", wish)
    picture = Image.open(io.BytesIO(body))
    drawn = sample(told_run, 4, 3, {"type": "shoe"})[0]
    assert (code, headers["Content-Type"], headers["X-Prodgen-Seed"]) == (200, "image/png", "3")
    assert np.abs(np.asarray(picture).astype(int) - sheet(drawn)).max() <= 1
    facts = json.loads(picture.text["prodgen"])
    assert (
        facts["source"] == GENERATED
        and facts["where"] == {"type": "shoe"}
        and facts["model"] == headers["X-Prodgen-Model"]
    )
    assert ask("/generate", wish)[2] == body
    code, _, body = ask("/generate", {**wish, "form": "json"})
    found = json.loads(body)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found["pictures"]]
    assert code == 200 and found["seed"] == 3
    np.testing.assert_array_equal(sheet(np.stack(pictures)), np.asarray(picture))


def test_a_seed_that_was_not_said_is_told_and_can_be_asked_for(ask):
    _, headers, body = ask("/generate", {})
    seed = int(headers["X-Prodgen-Seed"])
    assert ask("/generate", {"seed": seed})[2] == body != ask("/generate", {})[2]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", 400, "body: not JSON"),
        ({"where": {"type": "hat"}}, 400, "where type=hat: known values are shirt, shoe, bag"),
        ({"where": {"%s": "%d"}}, 400, "where %s"),
        ({"n": 31}, 413, "n: 31; a request may have 30"),
        (b" " * 20_000, 413, "body: 20000 bytes"),
    ],
)
def test_what_cannot_be_is_named_and_costs_nothing(ask, server, body, code, said):
    found = error_of(ask("/generate", body))
    assert found[0] == code and said in found[1]
    assert server[0].rates._left.get("generate", (40, 0))[0] > 39


def test_who_may_not_is_told_so(ask):
    for key, code in ((None, 401), ("pg_wrong", 401), ("metrics", 403)):
        assert error_of(ask("/generate", {}, key))[0] == code
    assert ask("/metrics", key="generate")[0] == 403 and ask("/metrics", key="metrics")[0] == 200
    assert ask("/", key=None)[0] == 401 and ask("/healthz", key=None)[0] == 200
    assert ask("/generate", {}, None)[1]["WWW-Authenticate"] == "Bearer"


def test_a_spent_minute_is_429_with_its_end(ask):
    assert [ask("/generate", {"n": n})[0] for n in (30, 10)] == [200, 200]
    code, headers, body = ask("/generate", {"n": 2})
    assert code == 429 and 1 <= int(headers["Retry-After"]) <= 3 and b"40 pictures a minute" in body


def test_too_much_is_503_and_too_slow_is_504(ask, server, monkeypatch):
    service = server[0]
    monkeypatch.setattr(service.batcher, "most", 1)
    code, headers, _ = ask("/generate", {"n": 2})
    assert (code, headers["Retry-After"]) == (503, "1")
    monkeypatch.setattr(service.batcher, "most", 64)
    held, right = threading.Event(), service.batcher.sampler
    monkeypatch.setattr(service.batcher, "sampler", lambda *a: held.wait(20) and right(*a))
    monkeypatch.setattr(service, "room", Room(seconds=0.2))
    assert error_of(ask("/generate", {})) == (504, "not drawn within 0.2 s")
    held.set()


def test_who_goes_away_is_not_drawn_for(ask, server, monkeypatch):
    service = server[0]
    begun, held, right = threading.Event(), threading.Event(), service.batcher.sampler

    def hold(*args):
        begun.set()
        assert held.wait(20)
        return right(*args)

    ask("/generate", {})  # so that what earlier tests left behind is drawn
    before = drawn_so_far(ask)
    waits(lambda: service.open == 0)
    monkeypatch.setattr(service.batcher, "sampler", hold)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, "/generate", {"n": 16})
        assert begun.wait(20) and service.batcher.waiting == 0
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            body = b'{"n": 5}'
            lines = ["POST /generate HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
            lines += [f"Authorization: Bearer {ask.keys['generate']}", "", ""]
            client.sendall("\r\n".join(lines).encode() + body)
            waits(lambda: service.batcher.waiting == 5)
        waits(lambda: service.open == 1)
        held.set()
        assert first.result()[0] == 200
    waits(lambda: service.batcher.waiting == 0)
    assert drawn_so_far(ask) == before + 16 and b'code="499"' in ask("/metrics", key="metrics")[2]


def test_a_broken_sampler_is_500_and_the_next_is_200(ask, server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(server[0].batcher, "sampler", lambda *a: 1 / 0)
        assert error_of(ask("/generate", {})) == (500, "the sampler failed")
    assert ask("/generate", {})[0] == 200 and ask("/healthz")[0] == 200


def test_what_is_not_drawn_is_451_and_all_is_logged(ask, server, monkeypatch, tmp_path):
    (tmp_path / "policy.toml").write_text('block = ["shoe"]\nreview = ["bag"]')
    monkeypatch.setattr(server[0], "policy", read_policy(tmp_path / "policy.toml"))
    monkeypatch.setattr(server[0], "log", Log(tmp_path / "log.jsonl"))
    assert error_of(ask("/generate", {"where": {"type": "shoe"}})) == (451, "'shoe' is not drawn here")
    assert [ask("/generate", {"where": {"type": thing}})[0] for thing in ("bag", "shirt")] == [200, 200]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["verdict"], line["key"]) for line in lines] == [(v, "generate") for v in ("block", "review", "allow")]


def test_other_routes(ask, told_run):
    about = json.loads(ask("/")[2])
    assert about["where"] == {"type": ["shirt", "shoe", "bag"], "colour": ["red", "blue"]} and about["pixels"] == 8
    assert error_of(ask("/generate"))[0] == 405 and error_of(ask("/nowhere"))[0] == 404
    before = drawn_so_far(ask)
    ask("/generate", {"n": 3})
    assert drawn_so_far(ask) == before + 3
    assert json.loads(ask("/healthz", key=None)[2])["status"] == "ok"


def test_without_keys_only_this_machine_is_answered():
    check_host("127.0.0.1", {})
    with pytest.raises(InputError, match="without --keys anybody could ask"):
        check_host("0.0.0.0", {})


@pytest.mark.slow
def test_the_command_serves_and_sigterm_ends_it_well(told_run, start):
    port = free_port()
    process = start("-m", "prodgen_jax.cli", "serve", told_run.path, "--port", port, PRODGEN_PROGRESS="1")
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/generate", b'{"n": 2}', timeout=30) as answer:
                assert Image.open(io.BytesIO(answer.read())).size == (17, 8)
            break
        except urllib.error.URLError:
            assert process.poll() is None, process.communicate()[1]
            threading.Event().wait(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and f"http://127.0.0.1:{port}" in out + err
