"""A gate that asks a Prometheus: its file, its queries, its counters, and the command."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from meshtest.cli import main
from meshtest.errors import ProviderError, UsageError
from meshtest.model.series import Matrix, NoData, Sample, Series, Vector
from meshtest.rollouts.judge.config import parse
from meshtest.webhook.judging.counters import Counter
from meshtest.webhook.judging.file import JudgeFile, read
from meshtest.webhook.judging.queries import Names, kayenta, of_provider, queries
from meshtest.webhook.judging.running import Result, run
from meshtest.webhook.keeping import Ended
from meshtest.webhook.runs import RunKey, RunState, StoredRun
from meshtest.webhook.suites import Suite
from meshtest.webhook.verdicts import verdict
from meshtest.webhook.work import work

NAMES = Names(name="podinfo", namespace="test", parameters={"code": "5.."})


def judge_yaml(folder: Path, text: str) -> JudgeFile:
    path = folder / "judge.yaml"
    path.write_text(text)
    return read(path)


class Asked:
    """A Prometheus whose counters rise by so much at each look, by a word that is in the query."""

    url = "http://prometheus.test"

    def __init__(self, **rises: float) -> None:
        self.rises, self.looks, self.down = rises, 0, 0
        self.asked: set[str] = set()

    def query(self, promql: str, at: float | None = None) -> Vector:
        if self.down:
            self.down -= 1
            raise ProviderError("Prometheus does not answer: Connection refused")
        self.asked.add(promql)
        arm = "primary_" if "podinfo-primary" in promql else ""
        kind = "errors" if "5.*" in promql else "within" if "bucket" in promql else "requests"
        value = self.rises.get(arm + kind)
        return Vector([] if value is None else [Sample({"pod": "a"}, value * (at or 0.0), at or 0.0)])

    def query_range(self, promql: str, start: float, end: float, step: float) -> Matrix:
        rise = self.rises["primary_value" if "primary" in promql else "value"]
        steps = range(round((end - start) / step) + 1)
        return Matrix([Series({}, [(start + i * step, rise + i % 3) for i in steps])])

    def refresh(self, since: float) -> None: ...

    def close(self) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


def judged(file: JudgeFile, asked: Asked, names: Names = NAMES) -> tuple[Result, Clock, list[str]]:
    clock, said = Clock(), list[str]()
    return run(file, names, asked, say=said.append, wait=clock.wait, now=clock), clock, said


class TestCounters:
    def test_the_first_look_is_where_counting_begins(self) -> None:
        counter = Counter("x")
        assert [counter.add([Sample({"pod": "a"}, value, 0)]) for value in (100.0, 103.0, 103.0)] == [0, 3, 0]

    def test_a_series_that_begins_later_counts_in_full_and_one_that_begins_again_from_zero(self) -> None:
        counter = Counter("x")
        counter.add([])
        assert counter.add([Sample({"code": "503"}, 1.0, 0)]) == 1, "increase() would not see it"
        assert counter.add([Sample({"code": "503"}, 5.0, 0), Sample({"code": "500"}, 2.0, 0)]) == 6
        assert counter.add([Sample({"code": "503"}, 3.0, 0)]) == 3, "its pod was restarted"
        assert counter.add([Sample({"code": "500"}, 2.0, 0)]) == 0, "it was away"

    def test_a_rate_is_no_count(self) -> None:
        with pytest.raises(UsageError, match=r"0\.5 is no count of requests: rate\(x\[1m\]\)\n.*without rate\(\)"):
            Counter("rate(x[1m])").add([Sample({}, 0.5, 0)])
        assert Counter("x").add([Sample({}, NoData("NaN"), 0)]) == 0


class TestGates:
    def test_a_good_canary_passes_as_soon_as_that_is_known(self, tmp_path: Path) -> None:
        asked = Asked(requests=5, primary_requests=495, primary_errors=1)
        found, clock, said = judged(judge_yaml(tmp_path, "provider: istio\n"), asked)
        assert (found.verdict, found.data["ok"], found.data["samples"]) == ("pass", True, 350)
        assert clock.time == 70
        assert said[0] == "0 requests of podinfo: the canary has had no requests: nothing is proven"
        labels = 'reporter="destination",destination_workload_namespace="test",destination_workload="podinfo"'
        assert f'istio_requests_total{{{labels},response_code=~"5.*"}}' in asked.asked

    def test_a_bad_one_fails(self, tmp_path: Path) -> None:
        asked = Asked(requests=5, errors=1, primary_requests=495, primary_errors=1)
        found, clock, _ = judged(judge_yaml(tmp_path, "provider: gatewayapi\nevery: 1s\n"), asked)
        assert found.verdict == "fail"
        assert clock.time <= 4
        assert "decided after 10 of its requests; " in found.reason

    def test_slow_answers_count_by_the_bucket_that_ends_there(self, tmp_path: Path) -> None:
        file = judge_yaml(tmp_path, 'latency: 500ms\nbaseline: ""\n')
        asked = Asked(requests=50, within=20)
        assert judged(file, asked)[0].reason.startswith("300 of 500 requests were too slow")
        assert any('le="500"' in query for query in asked.asked)
        with pytest.raises(UsageError, match=r"podinfo has requests, but there is no series of .*le=\"500\""):
            judged(file, Asked(requests=50))

    def test_what_is_not_decided_by_the_deadline_is_not_known(self, tmp_path: Path) -> None:
        found, clock, _ = judged(judge_yaml(tmp_path, "deadline: 30s\n"), Asked(requests=1, primary_requests=9))
        assert found.verdict == "inconclusive"
        assert found.reason.startswith("not decided within 30 s: 0 of 30 requests failed")
        assert clock.time == 30

    @pytest.mark.parametrize(("given", "who"), [({}, "podinfo"), ({"requests": 5, "errors": 1}, "podinfo-primary")])
    def test_who_was_never_seen_is_named(self, tmp_path: Path, given: dict[str, float], who: str) -> None:
        found, _, _ = judged(judge_yaml(tmp_path, "deadline: 30s\n"), Asked(**given))
        assert found.reason.startswith("not decided within 30 s: there is no series of istio_requests_total{")
        assert found.reason.endswith(f"which would count the requests of {who}")

    def test_a_prometheus_that_is_away_is_waited_for_and_nothing_is_lost(self, tmp_path: Path) -> None:
        file = judge_yaml(tmp_path, "deadline: 5m\n")
        asked = Asked(requests=5, primary_requests=495)
        asked.down = 3
        assert judged(file, asked)[0].data["samples"] == 350
        asked.down = 1000
        found = judged(file, asked)[0]
        assert found.reason == "not decided within 300 s: Prometheus does not answer: Connection refused"

    def test_counters_of_ones_own(self, tmp_path: Path) -> None:
        text = (
            "requests: 'hits{app=\"{{ target }}\"}'\n"
            "errors: 'hits{app=\"{{ target }}\",code=~\"{{ variables.code }}\"}'\ncanary: web\nbaseline: ''\n"
        )
        asked = Asked(requests=100)
        with pytest.raises(UsageError, match=r"code '5\.\.\"\}' cannot stand in a query"):
            judged(judge_yaml(tmp_path, text), asked, Names(parameters={"code": '5.."}'}))
        judged(judge_yaml(tmp_path, text), asked)
        assert asked.asked == {'hits{app="web"}', 'hits{app="web",code=~"5.."}'}

    def test_nobody_to_judge(self, tmp_path: Path) -> None:
        file = judge_yaml(tmp_path, "canary: '{{ name }}'\n")
        with pytest.raises(UsageError, match=r"which canary\? write `canary: NAME`"):
            judged(file, Asked(), Names())


def test_queries_of_each_mesh() -> None:
    assert (
        'deployment="web",direction="inbound",classification="failure"'
        in queries(of_provider("linkerd", None), NAMES, "web").errors
    )
    app = queries(of_provider("kubernetes", 0.5), NAMES, "web")
    assert app.within.startswith('http_request_duration_seconds_bucket{kubernetes_namespace="test"')
    assert app.within.endswith('le="0.5"}')
    with pytest.raises(UsageError, match="no provider 'nginx'; there are: istio, linkerd"):
        of_provider("nginx", None)


class TestScores:
    CONFIG: Mapping[str, Any] = {
        "metrics": [{
            "name": "latency", "groups": ["g"],
            "query": {"type": "prometheus", "customInlineTemplate": 'PromQL:avg(latency{app="${scope}"})'},
            "analysisConfigurations": {"canary": {"direction": "increase"}},
        }],
    }  # fmt: skip

    def test_over_the_deadline_once(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps(self.CONFIG))
        file = judge_yaml(tmp_path, "canaryConfig: config.json\nthresholds: {pass: 90}\nevery: 60s\ndeadline: 1h\n")
        found, clock, _ = judged(file, Asked(value=100, primary_value=100))
        assert (found.verdict, found.data["score"], clock.time) == ("pass", 100.0, 3600)
        found = judged(file, Asked(value=200, primary_value=100))[0]
        assert found.reason == "score 0: Fail; latency was classified as High"
        assert found.data["judgeResult"]["score"]["classification"] == "Fail"

    @pytest.mark.parametrize(
        ("query", "made"),
        [
            ({"customInlineTemplate": 'PromQL:x{a="$\\{scope}"}'}, 'x{a="web"}'),
            ({"metricName": "x", "customInlineTemplate": 'app="${scope}"', "labelBindings": ['b="c"'],
              "groupByFields": ["d"]}, 'avg(x{app="web",b="c"}) by (d)'),
            ({"metricName": "x", "customFilterTemplate": "t"}, 'avg(x{zone="eu",app="web"})'),
        ],
    )  # fmt: skip
    def test_queries_as_kayenta_makes_them(self, query: dict[str, Any], made: str) -> None:
        templates = {"t": 'zone="${location}",app="${scope}"'}
        config = parse({"metrics": [{"name": "m", "query": query}], "templates": templates})
        assert kayenta(config, config.metrics[0], "web", "eu") == made

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ({"type": "datadog"}, "metric m is asked of datadog"),
            ({"metricName": "x"}, "nothing tells canary from baseline"),
            ({"customInlineTemplate": 'a="${scope}"'}, "a metricName is wanted"),
            ({"metricName": "x", "customFilterTemplate": "t"}, "no template 't'; there are: none"),
            ({"metricName": "x", "customInlineTemplate": "${region}"}, r"nobody gives \$\{region\}"),
        ],
    )
    def test_queries_that_are_none(self, query: dict[str, Any], message: str) -> None:
        config = parse({"metrics": [{"name": "m", "query": query}]})
        with pytest.raises(UsageError, match=message):
            kayenta(config, config.metrics[0], "web")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", r"judge\.yaml:1: one mapping is wanted"),
        ("every: 10s\nallow: 1%\n", r"judge\.yaml:2: unknown key 'allow'; did you mean 'allowed'\?"),
        ("prometheus: prometheus:9090\n", "judge.yaml:1: prometheus must be a URL as http://"),
        ("every: 10 min\n", "every '10 min' is no time such as"),
        ("every: 1s\nallowed: 2%\n", r"judge\.yaml:2: allowed 0\.02 must be below worse 0\.01"),
        ("alpha: 5\n", "alpha 5: a share above 0 and below 1"),
        ("provider: istio\nrequests: x\nerrors: y\n", "either provider or counters of your own"),
        ("every: 10s\nprovider: nginx\n", r"judge\.yaml:2: no provider 'nginx'; there are: istio"),
        ("every: 10m\n", r"judge\.yaml:1: every 600 s, and a deadline of 600 s: .*there must be two"),
        ("minimum: 1.5\n", "minimum must be a whole number, not 1.5"),
        ("requests: x\n", "beside requests there must be errors"),
        ("requests: x\nerrors: y\nlatency: 1s\n", r"judge\.yaml:3: latency is for a provider"),
        ("provider: nginx\n", "no provider 'nginx'"),
        ("thresholds: {pass: 90}\n", "thresholds is for a canaryConfig"),
        ("canaryConfig: {metrics: [{name: a}]}\nprovider: istio\n", r"judge\.yaml:2: provider has no use beside"),
        ("canaryConfig: {metrics: []}\n", r"canaryConfig\.metrics: there are none"),
        ("canaryConfig: none.json\n", "canaryConfig none.json: No such file"),
        ("canaryConfig: ../../etc/passwd\n", "a file beside this one is wanted"),
        ("ratio: true\n", "ratio must be a number"),
    ],
)
def test_mistakes_in_the_file_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        judge_yaml(tmp_path, text)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(tmp_path / "none.yaml")


@pytest.fixture
def rising() -> Iterator[str]:
    """A Prometheus by HTTP: the canary is sent 200 requests a look, and half of them fail where `bad` is asked for."""
    looks: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
            looks[query] = looks.get(query, 0) + 1
            worth = 200 if "5.*" not in query else 100 if "bad" in query else 0
            sample = {"metric": {"q": query}, "value": [1, str(looks[query] * worth)]}
            data = {"status": "success", "data": {"resultType": "vector", "result": [sample]}}
            body = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestCommand:
    def test_it_ends_with_the_verdict(
        self, tmp_path: Path, rising: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "judge.yaml"
        path.write_text(f"prometheus: {rising}\nevery: 1ms\nbaseline: ''\n")
        assert main(["gate", str(path), "--canary", "good", "--result", str(tmp_path / "result.json")]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith("pass: 0 of 400 requests failed")
        assert json.loads((tmp_path / "result.json").read_text())["verdict"] == "pass"
        monkeypatch.setenv("MESHTEST_CANARY", "bad")
        assert main(["gate", str(path), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["reason"].startswith("100 of 200 requests failed")

    def test_a_suite_of_the_endpoint_is_the_same_command(
        self, tmp_path: Path, rising: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "judge.yaml").write_text(f"prometheus: {rising}\nevery: 1ms\nbaseline: ''\n")
        suite = Suite(name="errors", path=tmp_path, kind="judge", file="judge.yaml")
        for canary, state, reason in (("good", RunState.PASSED, "0 of 400"), ("bad", RunState.FAILED, "100 of 200")):
            stored = StoredRun(id="1", key=RunKey("test", canary, "abc", suite.name))
            started = work(suite, stored, tmp_path)
            for name, value in started.environment.items():
                monkeypatch.setenv(name, value)
            assert started.command[2:4] == ("-m", "meshtest")
            ended = Ended(code=main(started.command[4:]))
            assert verdict(suite, tmp_path, ended).state is state
            assert verdict(suite, tmp_path, ended).reason.startswith(f"{reason} requests failed")

    def test_nobody_to_ask(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "judge.yaml"
        path.write_text("provider: istio\n")
        assert main(["gate", str(path)]) == 4
        assert "whom to ask? write `prometheus: http://HOST:PORT`" in capsys.readouterr().err
