"""A real Prometheus: fed, asked, in trouble. It is started once; each test has metrics of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from meshtest_telemetry import prometheus_scraper, prometheus_server
from meshtest_telemetry.prometheus import Prometheus
from meshtest_telemetry.prometheus_client import Client, Credentials
from meshtest_telemetry.prometheus_missing import selectors
from meshtest_telemetry.prometheus_server import Server

from meshtest.errors import ProcessFailed, ProviderError, UsageError
from meshtest.lib.wait import until
from meshtest.model.series import NO_DATA, Matrix, Vector
from tests.conftest import PATIENCE

from .conftest import Endpoint, Notes, asking, needs_prometheus


def vector(prometheus: Prometheus, query: str, at: float | None = None) -> Vector:
    answer = prometheus.query(query, at)
    assert isinstance(answer, Vector)
    return answer


@needs_prometheus
class TestAnswers:
    def test_what_the_endpoint_says_now_is_known_after_a_refresh(
        self, prometheus: Prometheus, endpoint: Endpoint
    ) -> None:
        for value in (3, 5):
            endpoint.text = f'# TYPE now_total counter\nnow_total{{version="v1"}} {value}\n'
            prometheus.refresh(0.0)
            assert vector(prometheus, 'now_total{version="v1"}') == value
        assert vector(prometheus, "up") == 1

    def test_labels_of_the_target_win_and_are_unescaped(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        endpoint.text = r'own{job="web",path="a\"b\\n\n}",empty=""} 1 1395066363000' + "\n"
        prometheus.refresh(0.0)
        (sample,) = vector(prometheus, "own")
        assert dict(sample.labels) == {
            "__name__": "own", "job": "web", "path": 'a"b\\n\n}', "instance": endpoint.url.split("/")[2],
        }  # fmt: skip

    def test_vectors_scalars_and_ranges(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        for value in (1, 2, 4):
            endpoint.text = f'kinds{{v="a"}} {value}\nkinds{{v="b"}} +Inf\n'
            prometheus.refresh(0.0)
        assert vector(prometheus, "kinds").by("v") == {"a": 4, "b": float("inf")}
        assert vector(prometheus, "2 * 3") == 6
        samples = prometheus.query('kinds{v="a"}[1h]')
        assert isinstance(samples, Matrix)
        assert samples.values[-1] == 4
        assert sorted(set(samples.values)) == [1, 2, 4]
        now = samples.points[-1][0]
        assert prometheus.query_range('kinds{v="a"}', now - 1, now, 1).values[-1] == 4

    def test_a_series_that_is_gone_is_stale(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        endpoint.text = "here 1\n"
        prometheus.refresh(0.0)
        assert vector(prometheus, "here") == 1
        endpoint.text = "other 1\n"
        prometheus.refresh(0.0)
        assert vector(prometheus, "here") == NO_DATA

    def test_white_space_is_collapsed_as_flagger_does(self, prometheus: Prometheus) -> None:
        assert vector(prometheus, "\n\t1\n + \t1 ").query == "1 + 1"


@needs_prometheus
class TestBadQueries:
    def test_a_syntax_error_has_prometheus_words_and_a_mark_below_the_column(self, prometheus: Prometheus) -> None:
        with pytest.raises(UsageError) as refused:
            prometheus.query('sum(rate(up{job=\n  "x"}[1m])')
        said, query, mark = str(refused.value).splitlines()
        assert said == "Prometheus: parse error: unclosed left parenthesis (column 27)"
        assert query == '  sum(rate(up{job= "x"}[1m])'
        assert mark == " " * (2 + 26) + "^"

    def test_a_query_that_makes_no_sense(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        endpoint.text = 'many{a="1"} 1\nmany{a="2"} 1\n'
        prometheus.refresh(0.0)
        with pytest.raises(UsageError, match=r"Prometheus: found duplicate series for the match group"):
            prometheus.query("many + on() many")

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (" ", "an empty query; write PromQL"),
            ('"text"', "is a string, not a number: 'text'"),
        ],
    )
    def test_no_question(self, prometheus: Prometheus, query: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            prometheus.query(query)

    def test_a_range_that_is_none(self, prometheus: Prometheus) -> None:
        with pytest.raises(UsageError, match="from 5 to 1 in steps of 1 s is no range"):
            prometheus.query_range("up", 5, 1, 1)


@needs_prometheus
class TestNoData:
    @pytest.fixture(autouse=True)
    def _metrics(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        endpoint.text = 'calls_total{code="200",version="v1"} 7\ncalls_total{code="500",version="v2"} 0\n'
        prometheus.refresh(0.0)

    @pytest.mark.parametrize(
        ("query", "why"),
        [
            ("sum(call_total)", "no series is called call_total; did you mean calls_total?"),
            ("zzz", "no series is called zzz; there are: "),
            ('calls_total{version="v3"}', 'no series of calls_total has version="v3"; version is "v1", "v2"'),
            ('sum(calls_total{code=~"4.*",version="v1"})', 'no series of calls_total has code=~"4.*"; code is "200"'),
            ("rate(calls_total[1ms])", "but not two samples of them in the range that a rate needs"),
            ("calls_total > 100", "its series are there, but none fulfils the query"),
            ('calls_total{code="500"} / calls_total{code="500"}', "NaN: nothing was counted in the window"),
        ],
    )
    def test_it_says_why(self, prometheus: Prometheus, query: str, why: str) -> None:
        answer = vector(prometheus, query)
        assert answer == NO_DATA
        assert why in str(answer.value)

    def test_of_a_range_too(self, prometheus: Prometheus) -> None:
        found = prometheus.query_range("calls_totals", 0.0, 1.0, 1.0)
        assert found == NO_DATA
        assert "did you mean calls_total?" in found.why


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum by (le) (rate(a_total[5m] offset 5m)) / b", ["a_total", "b"]),
        ('x{a="}",b=~"y{2}"} and on (job) group_left (z) y', ["x", "y"]),
        ("1 + 2 * Inf", []),
        ('{__name__=~"a.*"}', [""]),
    ],
)
def test_selectors_are_found_in_a_query(query: str, found: list[str]) -> None:
    assert [name for name, _ in selectors(query)] == found


@needs_prometheus
class TestTrouble:
    def test_an_endpoint_that_does_not_answer_is_named(self, prometheus: Prometheus, endpoint: Endpoint) -> None:
        endpoint.text = "alive 1\n"
        prometheus.refresh(0.0)
        endpoint.down = True
        with pytest.raises(ProviderError, match=rf"no metrics from {endpoint.url} \(answered 503\)"):
            prometheus.refresh(0.0)
        assert vector(prometheus, "up") == 0
        assert vector(prometheus, "alive") == NO_DATA

    def test_while_nobody_asks_it_scrapes_by_itself_and_notes_trouble_once(
        self, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert prometheus_scraper.INTERVAL == 1.0
        monkeypatch.setattr(prometheus_scraper, "INTERVAL", 0.01)
        notes = Notes()
        made = Prometheus(asking(tmp_path, endpoint.url, record=notes))
        endpoint.down = True
        scrapes = endpoint.scrapes
        until(lambda: endpoint.scrapes >= scrapes + 3, within=PATIENCE, what=lambda: "no scrapes")
        made.close()
        assert len([text for text in notes.texts if "answered 503" in text]) == 1

    def test_a_prometheus_that_was_killed_is_told_with_its_last_words(self, tmp_path: Path, endpoint: Endpoint) -> None:
        made = Prometheus(asking(tmp_path, endpoint.url))
        try:
            assert made._server
            os.kill(made._server.pid, signal.SIGKILL)
            until(lambda: bool(made._server and made._server.ended()), within=PATIENCE, what=lambda: "lives")
            with pytest.raises(ProcessFailed, match=r"Prometheus has ended: code -9\n  \| "):
                made.query("up")
            with pytest.raises(ProcessFailed, match=r"Prometheus has ended: code -9\n  \| "):
                made.refresh(0.0)
        finally:
            made.close()

    def test_a_port_that_somebody_else_was_given_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
    ) -> None:
        ports = iter([listener.getsockname()[1], prometheus_server._free_port()])
        monkeypatch.setattr(prometheus_server, "_free_port", lambda: next(ports))
        server = Server(tmp_path, within=PATIENCE)
        assert not server.ended()
        server.close()

    def test_it_dies_with_its_runner(self, tmp_path: Path) -> None:
        code = (
            "import pathlib, sys, time; from meshtest_telemetry.prometheus_server import Server; "
            f"print(Server(pathlib.Path({str(tmp_path)!r}), within={PATIENCE}).pid, flush=True); time.sleep(600)"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as runner:
            assert runner.stdout
            pid = int(runner.stdout.readline())
            assert _lives(pid)
            runner.kill()
        until(lambda: not _lives(pid), within=PATIENCE, what=lambda: f"{pid} still runs")

    def test_it_outlives_the_thread_that_asked_for_it(self, tmp_path: Path) -> None:
        """As the one that serves `meshtest query`: the kernel ties a process to the thread that started it."""
        made: list[Server] = []
        asker = threading.Thread(target=lambda: made.append(Server(tmp_path, within=PATIENCE)))
        asker.start()
        asker.join()
        assert Client(made[0].url).get("query", query="1")["result"][1] == "1"
        made[0].close()

    def test_one_that_never_gets_ready_is_told_with_its_last_words(self, tmp_path: Path) -> None:
        (tmp_path / "prometheus").mkdir()
        (tmp_path / "prometheus" / "wal").write_text("not a folder")
        with pytest.raises(ProcessFailed, match=r"Prometheus ended before it was ready \(code 1\):\n  \| "):
            Server(tmp_path, within=PATIENCE)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def test_without_a_binary_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"none in PATH: apt install prometheus.*mesh\.success_rate.*need none"):
        Server(tmp_path, within=1.0)
    with pytest.raises(UsageError, match=r"none at '/no/such' \(setting prometheus\)"):
        Server(tmp_path, "/no/such", within=1.0)


class Elsewhere:
    """A Prometheus of others: wants to know who asks, and answers what tests have put in."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.answers: list[tuple[int, str]] = []
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                elsewhere.seen.append((self.path, self.headers.get("Authorization", "")))
                status, body = elsewhere.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/prom/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, *results: str) -> None:
        """Scalars, one an answer."""
        self.answers += [
            (200, f'{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}') for result in results
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.close()


class TestAtAUrl:
    def test_it_is_told_who_asks(self, elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MESHTEST_PROMETHEUS_TOKEN", "secret")
        elsewhere.says('{"metric":{},"value":[10,"7"]}')
        assert Prometheus(asking(tmp_path, prometheus=elsewhere.url)).query("sum(x)", 10.0) == 7
        assert elsewhere.seen == [("/prom/api/v1/query?query=sum%28x%29&time=10.000", "Bearer secret")]
        assert list(tmp_path.iterdir()) == [], "nothing is started"

    def test_or_by_user_and_password(self, elsewhere: Elsewhere) -> None:
        who = Credentials.of({"MESHTEST_PROMETHEUS_USER": "me", "MESHTEST_PROMETHEUS_PASSWORD": "pass"})
        elsewhere.says("")
        Client(elsewhere.url, who).get("query", query="up")
        assert elsewhere.seen[0][1] == "Basic bWU6cGFzcw=="
        assert "pass" not in repr(who)

    def test_credentials_in_the_url_are_refused_because_settings_are_printed(self) -> None:
        with pytest.raises(UsageError, match=r"prom\.example has credentials in it.*MESHTEST_PROMETHEUS_USER") as error:
            Client("https://me:hush@prom.example/")
        assert "hush" not in str(error.value)

    def test_who_is_refused_is_told_what_to_set(self, elsewhere: Elsewhere) -> None:
        elsewhere.answers.append((401, "Unauthorized"))
        with pytest.raises(UsageError, match=r"refuses us \(401\); set MESHTEST_PROMETHEUS_TOKEN"):
            Client(elsewhere.url).get("query", query="up")

    def test_its_own_scrape_after_the_last_request_is_waited_for(self, elsewhere: Elsewhere, tmp_path: Path) -> None:
        elsewhere.says(*(f'{{"metric":{{}},"value":[9,"{at}"]}}' for at in ("3", "4.5", "6.25")))
        Prometheus(asking(tmp_path, prometheus=elsewhere.url)).refresh(6.0)
        assert len(elsewhere.seen) == 3

    def test_one_that_scrapes_nothing_is_not_waited_for(self, elsewhere: Elsewhere, tmp_path: Path) -> None:
        elsewhere.says("")
        Prometheus(asking(tmp_path, prometheus=elsewhere.url)).refresh(6.0)
        assert len(elsewhere.seen) == 1

    def test_one_that_is_down_is_told_so(self, listener: socket.socket) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        with pytest.raises(ProviderError, match=rf"Prometheus at {url} does not answer: Connection refused"):
            Client(url).get("query", query="up")

    def test_what_is_no_prometheus(self, elsewhere: Elsewhere) -> None:
        elsewhere.answers.append((200, "<html>hello"))
        with pytest.raises(ProviderError, match="answered 200: <html>hello"):
            Client(elsewhere.url).get("query", query="up")

    def test_authorities_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"setting prometheus_ca: cannot read /no/such\.pem"):
            Client("https://127.0.0.1:1", ca="/no/such.pem").get("query", query="up")
