"""The stand-in over a real connection."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import ProcessFailed

from .conftest import PATIENCE, Watched, Wire

Connect = Callable[[int], Wire]


def annotated(**told: str) -> dict[str, str]:
    return {f"meshtest.dev/{name.replace('_', '-')}": value for name, value in told.items()}


@pytest.fixture
def stand_in(mesh: Watched, connect: Connect) -> Callable[..., Wire]:
    """Start a ready stand-in with these annotations and connect to it."""

    def start(**annotations: str) -> Wire:
        fields: dict[str, Any] = {"annotations": annotated(**annotations), "labels": {"app": "web"}}
        return connect(mesh.ready(**fields).ports[8080])

    return start


def test_it_tells_who_answered_and_what_was_asked(stand_in: Callable[..., Wire]) -> None:
    body = b"h\xc3\xa9llo"
    wire = stand_in().send(b"POST /a?b=c HTTP/1.1\r\nHost: web:80\r\nX-A: 1\r\ncontent-length: 6\r\n\r\n" + body)
    status, headers, told = wire.answer()
    assert (status, headers["server"], headers["content-type"]) == (200, "meshtest-stand-in", "application/json")
    assert told == {
        "service": "web", "version": "v1", "pod": "web-0", "namespace": "default", "protocol": "HTTP/1.1",
        "method": "POST", "scheme": "http", "path": "/a?b=c", "host": "web:80",
        "headers": {"host": "web:80", "x-a": "1", "content-length": "6"}, "body": "héllo", "calls": [], "tls": None,
    }  # fmt: skip


def test_chunks_split_anywhere_are_one_body(stand_in: Callable[..., Wire]) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    wire = stand_in().send(*(bytes([byte]) for byte in head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    assert wire.answer()[2]["body"] == "abcde"


def test_pipelined_requests_are_answered_in_order_even_when_the_first_takes_longest(
    stand_in: Callable[..., Wire],
) -> None:
    wire = stand_in()
    ask = b"".join(b"GET /%d%s HTTP/1.1\r\nhost: a\r\n\r\n" % (n, b"?delay=50ms" * (n == 0)) for n in range(200))
    wire.send(ask)
    assert [wire.answer()[2]["path"].partition("?")[0] for _ in range(200)] == [f"/{n}" for n in range(200)]


def test_head_has_the_length_and_no_body(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in().send(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\nGET /next HTTP/1.1\r\nhost: a\r\n\r\n")
    status, headers = wire.head()
    assert status == 200
    assert int(headers["content-length"]) > 0
    assert wire.answer()[2]["path"] == "/next"


def test_a_client_that_expects_100_continue_gets_it_before_its_body(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in().send(b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert wire.head() == (100, {})
    assert wire.send(b"ab").answer()[2]["body"] == "ab"


def test_nonsense_is_answered_400_and_the_connection_ends(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in().get("/good").send(b"what is this\r\n\r\n")
    assert wire.answer()[0] == 200
    status, headers, told = wire.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert told["error"] == "'what is this' is not a request line"
    assert wire.rest() == b""


def test_a_client_that_asks_for_it_gets_the_connection_closed(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in().get(connection="close")
    assert wire.answer()[1]["connection"] == "close"
    assert wire.rest() == b""


def test_errors_come_at_their_rate_and_the_same_ones_in_each_run(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(errors="503:10,500:10")

    def statuses() -> list[int]:
        return [wire.get(x_meshtest_id=f"load-{n}").answer()[0] for n in range(1000)]

    first = statuses()
    assert 60 <= first.count(503) <= 140  # 4.2 standard deviations
    assert 60 <= first.count(500) <= 140
    assert statuses() == first


def test_a_retry_of_a_request_is_a_new_chance(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(errors="503:50")
    tries = [wire.get(x_meshtest_id="load-1", x_envoy_attempt_count=str(n)).answer()[0] for n in range(1, 21)]
    assert set(tries) == {200, 503}


def test_a_delay_is_waited_and_one_request_can_ask_for_another(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(delay="600ms±100ms")
    took = []
    for path in ("/", "/?delay=0ms"):
        began = time.perf_counter()
        assert wire.get(path).answer()[0] == 200
        took.append(time.perf_counter() - began)
    assert took[0] >= 0.5 > took[1]


def test_one_request_can_ask_for_a_status(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(errors="503:100")
    assert wire.get("/?codes=418:1").answer()[0] == 418
    assert wire.get("/?codes=200%3A1").answer()[0] == 200
    status, _, told = wire.get("/?codes=x").answer()
    assert (status, told["error"]) == (400, "codes: 'x' is not STATUS:WEIGHT, as in 503:10")


def test_one_request_can_ask_for_headers_of_the_answer(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in()
    assert wire.get("/?headers=x-a:1,x-b:2").answer()[1].items() >= {"x-a": "1", "x-b": "2"}.items()
    assert wire.get("/", x_echo_set_header="X-A:1,X-A:2").answer()[1]["x-a"] == "1,2"


def test_the_first_attempts_of_a_request_can_be_made_to_fail(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in()
    path = "/?responseCode=500&succeedAfter=2&uuid="
    assert [wire.get(path + uuid).answer()[0] for uuid in "aababb"] == [500, 500, 500, 200, 500, 200]
    attempts = [wire.get(f"{path}c", x_envoy_attempt_count=str(n)).answer()[0] for n in (1, 3, 2)]
    assert attempts == [500, 200, 500], "the proxy's own count goes over several pods"


def test_until_it_is_ready_every_request_gets_503(mesh: Watched, connect: Connect) -> None:
    wire = connect(mesh.start(annotations=annotated(ready_after="1s")).ports[8080])
    assert wire.get().answer()[0] == 503
    mesh_time = time.monotonic() + PATIENCE
    while wire.get().answer()[0] == 503:
        assert time.monotonic() < mesh_time


def test_probes_are_neither_failed_nor_counted(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(errors="503:100", crash_after="1")
    assert [wire.get(user_agent="kube-probe/1.30").answer()[0] for _ in range(5)] == [200] * 5


def test_it_crashes_after_so_many_requests_and_comes_back(mesh: Watched, connect: Connect) -> None:
    port = mesh.ready(annotations=annotated(crash_after="3")).ports[8080]
    wire = connect(port)
    assert [wire.get().answer()[0] for _ in range(3)] == [200] * 3
    assert wire.get().is_cut()
    crashed = mesh.wait("web-0", "exited")
    assert (crashed.detail["code"], crashed.detail["log"]) == (1, ["crash-after: ends after 3 requests"])
    mesh.wait("web-0", "ready", nth=2)
    assert connect(port).get().answer()[0] == 200, "on the same port, as a pod keeps its IP"


def test_errors_may_be_of_one_path_or_one_header_only(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(errors="503:100 path=/checkout; 500:100 header=x-plan:gold")
    asked: list[tuple[str, dict[str, str]]] = [
        ("/", {}), ("/checkout?x=1", {}), ("/checkouts", {}), ("/", {"x_plan": "gold"}), ("/", {"x_plan": "free"}),
    ]  # fmt: skip
    assert [wire.get(path, **headers).answer()[0] for path, headers in asked] == [200, 503, 200, 500, 200]


def test_a_part_of_the_answers_may_be_slow(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(delay="0ms; 30ms 25%")
    slow = 0
    for number in range(20):
        began = time.perf_counter()
        assert wire.get(x_meshtest_id=f"load-{number}").answer()[0] == 200
        slow += time.perf_counter() - began >= 0.03
    assert slow >= 1, "a machine under load makes more of them slow, never fewer"


def test_an_answer_may_be_wrong_and_still_200(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(wrong_content="100", errors="503:100 path=/fails")
    assert wire.get().answer()[::2] == (200, {"content": "not what was asked for"})
    assert wire.get("/fails").answer()[2]["error"], "a failure is told as ever"
    assert wire.get(user_agent="kube-probe/1.30").answer()[2]["service"] == "web"


def test_an_answer_may_lack_headers_whoever_asked_for_them(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(lose_headers="content-type, x-a")
    headers = wire.get("/?headers=x-a:1,x-b:2").answer()[1]
    assert ("content-type" in headers, "x-a" in headers, headers["x-b"]) == (False, False, "2")


def test_a_leak_grows_until_the_process_is_killed_as_by_the_kernel(mesh: Watched, connect: Connect) -> None:
    started = mesh.ready(annotations=annotated(leak="1024Ki of 16Mi"))
    wire = connect(started.ports[8080])
    before = _resident(started.pid)
    assert [wire.get().answer()[0] for _ in range(16)] == [200] * 16
    assert _resident(started.pid) - before >= 15 * 1024**2, "the memory is real"
    assert wire.get().is_cut()
    killed = mesh.wait("web-0", "exited").detail
    assert (killed["code"], killed["reason"], killed["restart_in"]) == (137, "OOMKilled", 0.0)
    assert killed["log"] == ["leak: over 16777216 bytes after 16 requests"]
    mesh.wait("web-0", "ready", nth=2)


def test_what_is_over_its_capacity_is_refused_and_probes_are_not_counted(stand_in: Callable[..., Wire]) -> None:
    wire = stand_in(capacity="0.001rps")
    assert [wire.get(user_agent="kube-probe/1.30").answer()[0] for _ in range(3)] == [200] * 3
    assert [wire.get().answer()[0] for _ in range(3)] == [200, 503, 503]


def test_a_service_may_call_another_far_too_often(mesh: Watched, connect: Connect) -> None:
    port = mesh.ready("db-0", annotations=annotated(errors="503:100 path=/ill")).ports[8080]
    calls = annotated(calls=f"http://127.0.0.1:{port}/", calls_times="5")
    assert len(connect(mesh.ready("many-0", annotations=calls).ports[8080]).get().answer()[2]["calls"]) == 5
    again = annotated(calls=f"http://127.0.0.1:{port}/ill", calls_retries="3")
    status, _, told = connect(mesh.ready("again-0", annotations=again).ports[8080]).get().answer()
    assert (status, told["calls"][0]["status"], told["calls"][0]["attempts"]) == (502, 503, 4)


def test_a_pod_that_is_never_ready_fails_every_request_and_probe(mesh: Watched, connect: Connect) -> None:
    wire = connect(mesh.start(annotations=annotated(ready_after="never")).ports[8080])
    assert wire.get().answer()[0] == 503
    assert wire.get(user_agent="kube-probe/1.30").answer()[0] == 503


def test_a_bad_annotation_is_told_when_the_pod_starts(mesh: Watched) -> None:
    with pytest.raises(ProcessFailed, match=r"pod web-0: annotation meshtest.dev/drain: 'slow' is none of graceful"):
        mesh.start(annotations=annotated(drain="slow"))
    with pytest.raises(ProcessFailed, match=r"pod web-0: annotation meshtest.dev/back-off: 'soon' is not a duration"):
        mesh.start(annotations=annotated(back_off="soon"))
    mesh.ready()


def test_each_container_port_is_served(mesh: Watched, connect: Connect) -> None:
    started = mesh.ready(ports=((8080, "http"), (9090, "metrics")))
    assert list(started.ports) == [8080, 9090]
    assert {connect(port).get().answer()[0] for port in started.ports.values()} == {200}


def test_a_hundred_connections_at_once(mesh: Watched, connect: Connect, tmp_path: Path) -> None:
    port = mesh.ready(annotations=annotated(delay="20ms")).ports[8080]
    wires = [connect(port).get(f"/{n}") for n in range(100)]
    assert [wire.answer()[2]["path"] for wire in wires] == [f"/{n}" for n in range(100)]


def _resident(pid: int) -> int:
    """Bytes of memory that the process has in use."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()
