"""Locust on real sockets, against a server that keeps book: every request on the wire is one record, with its fate."""

from __future__ import annotations

import re
import sys

from meshtest.model.request import Fate
from tests.loads.hostile import FATES, HostileServer, ok

from .conftest import Bench

SCRIPT = list(FATES)
USERS = 6


def test_each_request_has_the_fate_that_the_server_gave_it(bench: Bench) -> None:
    """HttpUser and FastHttpUser alike, 17 kinds of ends, no request sent twice and none left out."""
    with HostileServer(SCRIPT) as server:
        load = bench.load(server.port, users=USERS, spawn_rate=100, requests=10 * len(SCRIPT))
        load.start()
        load.wait(requests=10 * len(SCRIPT))
        summary = load.stop()
    requests = bench.requests()
    assert sorted(requests.indices) == list(range(len(requests)))
    cut = {r.index for r in requests if r.fate is Fate.NOT_SENT}
    assert len(cut) <= USERS, "only what users were about to send when the load ended"
    log = [(index, act) for index, act in server.log if index not in cut]
    assert len({index for index, _ in log}) == len(log) == len(requests) - len(cut)
    seen = {(r.index, r.fate, r.status) for r in requests if r.index not in cut}
    assert seen == {(index, *FATES[act]) for index, act in log}
    assert summary.sent == len(log) >= 10 * len(SCRIPT) - len(cut)
    hosts = {re.search(rb"(?i)\nhost: (\S+)", head)[1] for head in server.heads}  # type: ignore[index]
    assert hosts == {b"shop.example", b"shop.example:8080"}
    assert all(b"traceparent: 00-" in head for head in server.heads)
    assert not {"locust", "gevent"} & sys.modules.keys(), "Locust replaces the sockets of whoever imports it"


WHOLE = """
import argparse
from locust import FastHttpUser, HttpUser, LoadTestShape, constant, events, tag, task

@events.init_command_line_parser.add_listener
def add(parser):
    parser.add_argument("--shelf", default="none")

@events.test_start.add_listener
def begin(environment, **_):
    print("SHELF", environment.parsed_options.shelf)

@events.request.add_listener
def seen(request_type, name, response, **_):
    print("SEEN", name, getattr(response, "status_code", None))

class Shape(LoadTestShape):
    def tick(self):
        return (2, 100) if self.get_run_time() < 0.9 else None

class Shopper(HttpUser):
    wait_time = constant(0.01)

    @tag("buy")
    @task
    def buy(self):
        shelf = self.environment.parsed_options.shelf
        with self.client.get(f"/{shelf}", catch_response=True, name="buying") as response:
            response.failure("too dear")

    @tag("look")
    @task
    def look(self):
        self.client.get("/look")

    def on_start(self):
        self.environment.events.request.fire(
            request_type="MQTT", name="publish", response_time=1, response_length=0, response=None, exception=None
        )

class Unused(FastHttpUser):
    @tag("buy")
    @task
    def never(self):
        self.client.get("/never")
"""


def test_what_a_locustfile_brings_works_as_it_does_without_us(bench: Bench) -> None:
    """A shape that ends by itself, events, tags, classes by name, arguments of its own, a host nobody gave."""
    bench.write(WHOLE)
    with HostileServer([ok]) as server:
        options = {"classes": ["Shopper"], "tags": ["buy"], "arguments": ["--shelf", "bread"]}
        load = bench.load(server.port, **options, environment={"NOTHING": "1"})
        load.start()
        load._child.wait(20)
        load.stop()
    log = load.log.read_text()
    assert "SHELF bread" in log
    assert "SEEN buying 200" in log
    assert {head.split(b"\r\n")[0] for head in server.heads} == {b"GET /bread HTTP/1.1"}
    requests = bench.requests()
    assert {r.fate for r in requests} == {Fate.ANSWERED}, "what a user calls a failure is his judgement, not a fate"
    assert {(r.status, r.size, r.attempts, r.version) for r in requests} == {(200, 5, 2, "v1")}
    assert {r.reused for r in requests} == {False, True}
    (started,), (ended,) = bench.told("load.start"), bench.told("load.end")
    assert (started["engine"], started["open_loop"]) == ("locust", False)
    assert started["self_test"]["requests"] > 0
    assert ended["sent"] == len(server.log)
    assert ended["unseen"] == 2, "what its users sent by other means is told, as there is no record of it"
