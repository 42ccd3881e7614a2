"""The page of a run that is under way: what is served, to whom, how often it is made, and that it goes with the run."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from meshtest.errors import HistoryError, UsageError
from meshtest.lib import wait
from meshtest.run import Run
from meshtest.run.live import LOOPBACK, LivePage
from meshtest.run.live_server import EVERY, SHARE, Handler, Pages
from meshtest.run.stored import StoredRun
from meshtest.settings import Settings

DEADLINE = 60.0
"""Seconds for a process to start on a machine under load."""


class Clock:
    """Stands still unless it is told to go on; `steps` are added by readings to come."""

    def __init__(self) -> None:
        self.time = 0.0
        self.steps: list[float] = []

    def __call__(self) -> float:
        self.time += self.steps.pop(0) if self.steps else 0.0
        return self.time


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run("a <b>bold</b> name", Settings(reports=tmp_path / "reports"), seed=1) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pages(run: Run, clock: Clock) -> Pages:
    return Pages(run.directory, os.getpid(), clock)


class TestPages:
    def test_it_is_the_report_of_the_run_and_renews_itself(self, pages: Pages) -> None:
        body = pages.now().body.decode()
        assert "a &lt;b&gt;bold&lt;/b&gt; name" in body
        assert '<meta http-equiv="refresh"' in body
        assert '<p id="live" role="status">live</p></body>' in body

    def test_it_is_made_again_when_something_was_written_and_a_second_has_passed(
        self, run: Run, pages: Pages, clock: Clock
    ) -> None:
        first = pages.now()
        run.record("note", text="something new")
        assert pages.now() is first
        clock.time += EVERY
        second = pages.now()
        assert second.tag != first.tag
        assert b"something new" in second.body

    def test_it_is_not_made_again_for_nothing(self, pages: Pages, clock: Clock) -> None:
        first = pages.now()
        clock.time += EVERY
        assert pages.now().body is first.body

    def test_a_page_that_takes_long_is_made_less_often(self, run: Run, pages: Pages, clock: Clock) -> None:
        clock.steps = [0.0, 2.0]
        first = pages.now()
        run.record("note", text="later")
        clock.time = 2.0 / SHARE - 0.1
        assert pages.now() is first
        clock.time = 2.0 / SHARE
        assert pages.now() is not first

    def test_a_run_that_has_ended_says_so(self, run: Run, pages: Pages) -> None:
        run.close()
        assert b'role="status">ended</p>' in pages.now().body

    def test_of_a_folder_of_runs_it_is_the_newest_of_this_runner(self, run: Run, tmp_path: Path) -> None:
        reports = tmp_path / "reports"
        with Run("the next one", Settings(reports=reports), seed=1):
            assert b"the next one" in Pages(reports, os.getpid()).now().body
        with pytest.raises(HistoryError, match="no run in"):
            Pages(reports, os.getpid() + 1).now()


@pytest.fixture
def server(pages: Pages) -> Iterator[int]:
    """The port of a server in this process."""

    class Here(Handler):
        pass

    Here.pages = pages
    with ThreadingHTTPServer((LOOPBACK, 0), Here) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving.server_address[1]
        serving.shutdown()
        thread.join()


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read()


class TestHandler:
    def test_the_page_runs_only_its_own_scripts_and_loads_nothing(self, server: int) -> None:
        answer, body = ask(server)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert body.startswith(b"<!doctype html>")

    def test_a_browser_that_has_it_is_told_so(self, server: int) -> None:
        tag = ask(server)[0].headers["ETag"]
        answer, body = ask(server, If_None_Match=tag)
        assert (answer.status, body) == (304, b"")

    def test_head_has_no_body(self, server: int) -> None:
        answer, body = ask(server, method="HEAD")
        assert (answer.status, body) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 1000

    @pytest.mark.parametrize("host", ["localhost:1234", "127.0.0.1", "[::1]:80"])
    def test_names_of_this_machine_are_answered(self, server: int, host: str) -> None:
        assert ask(server, Host=host)[0].status == 200

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", ""])
    def test_a_site_whose_name_leads_here_is_not(self, server: int, host: str) -> None:
        answer, body = ask(server, Host=host)
        assert answer.status == 421
        assert b"doctype" not in body

    @pytest.mark.parametrize("path", ["/run.json", "/../run.json", "//etc/passwd", "/%2e%2e/run.json"])
    def test_there_is_no_other_path(self, server: int, path: str) -> None:
        assert ask(server, path)[0].status == 404

    def test_other_methods_are_refused(self, server: int) -> None:
        assert ask(server, method="POST")[0].status == 501

    def test_trouble_is_told_and_the_next_look_may_be_luckier(
        self, server: int, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(StoredRun, "history", lambda *_: 1 / 0)
        answer, body = ask(server)
        assert (answer.status, body) == (503, b"division by zero\n")
        monkeypatch.undo()
        assert ask(server)[0].status == 200


class TestLivePage:
    def test_a_visitor_gets_the_page_and_both_go_with_the_block(self, run: Run) -> None:
        with LivePage(run.directory) as live:
            answer, body = ask(live.port)
            assert answer.status == 200
            assert b"a &lt;b&gt;bold" in body
        with pytest.raises(ConnectionRefusedError):
            ask(live.port)

    def test_nothing_runs_before_somebody_looks(self, run: Run) -> None:
        with LivePage(run.directory) as live:
            assert live._process is None
        assert live._process is None

    def test_a_process_that_dies_is_no_trouble_of_the_run(self, run: Run) -> None:
        with LivePage(run.directory) as live:
            ask(live.port)
            assert live._process is not None
            live._process.kill()
            wait.until(lambda: live._process.poll() is not None, within=DEADLINE, what=str)  # type: ignore[union-attr]

    def test_a_port_that_is_taken_is_an_error(self, run: Run, listener: socket.socket) -> None:
        with pytest.raises(UsageError, match=r"cannot have port \d+: Address already in use; leave it out"):
            LivePage(run.directory, listener.getsockname()[1])

    @pytest.mark.parametrize("port", [-1, 65536])
    def test_a_number_that_is_no_port_is_an_error(self, run: Run, port: int) -> None:
        with pytest.raises(UsageError, match="ports go up to 65535"):
            LivePage(run.directory, port)
