"""What else can be asked: runs, reports, Argo, flagger-k6-webhook, the page, the description."""

from __future__ import annotations

import html
import json
import os
import re
from typing import Any

import jsonschema
import pytest

from meshtest.webhook import openapi
from meshtest.webhook.page import LATEST
from meshtest.webhook.routes import ROUTES
from meshtest.webhook.runs import RunKey, RunState
from tests.webhook.endpoint.site import Answer, Site

PASSED = RunState.PASSED
SCRIPT = "<script>alert(1)</script>"


class TestRuns:
    def test_the_latest_first_and_only_those_asked_for(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.ends(RunState.FAILED, "no")
        site.post("/hooks/pre-rollout/smoke", name="api", checksum="c5")
        found = site.get("/runs").data["runs"]
        assert [(run["canary"], run["state"]) for run in found] == [("api", "queued"), ("web", "failed")]
        assert [run["canary"] for run in site.get("/runs?state=failed&suite=smoke").data["runs"]] == ["web"]
        assert len(site.get("/runs?limit=1").data["runs"]) == 1
        assert site.get("/runs?canary=zzz").data == {"runs": []}

    @pytest.mark.parametrize(
        "query", ["state=x", "limit=0", "limit=x", "limit=99999999999999999999", "stat=failed", "before=x"]
    )
    def test_a_wrong_question(self, site: Site, query: str) -> None:
        assert site.get(f"/runs?{query}").status == 400

    def test_page_after_page(self, site: Site) -> None:
        for number in range(5):
            site.post("/hooks/pre-rollout/smoke", name=f"web{number % 2}", checksum=f"c{number}")
        seen, query = [], "limit=2"
        while found := site.get(f"/runs?{query}").data["runs"]:
            seen += [run["revision"] for run in found]
            query = f"limit=2&before={found[-1]['id']}"
        assert seen == ["c4", "c3", "c2", "c1", "c0"]

    def test_one(self, site: Site) -> None:
        site.hook("pre-rollout/strict", "c2", region="eu")
        run = site.run()
        found = site.get(f"/runs/{run.id}").data
        assert found["parameters"] == {"region": "eu"}
        assert found["report"] == f"http://gate/reports/{run.id}/"
        jsonschema.validate(found, openapi.SCHEMAS["Run"])

    def test_a_clock_that_is_set_back_makes_no_time_negative(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.store.begin(site.run().id)
        site.clock.at -= 86400
        site.ends(RunState.PASSED)
        assert "ended 0 s ago" in site.get("/").text
        assert "after 0 s" in site.get("/").text
        assert 'run_seconds_sum{suite="smoke",state="passed"} 0\n' in site.get("/metrics").text

    def test_none(self, site: Site) -> None:
        for path in ("/runs/x", "/reports/x/", "/reports/x/y.html"):
            assert site.get(path)[:2] == (404, "no run 'x'; GET /runs lists them\n")

    def test_cancel_is_about_this_run_only(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.hook("pre-rollout/strict", "c2", region="eu")
        answer = site.post(f"/runs/{site.run().id}/cancel")
        assert (answer.status, answer.data["state"]) == (202, "cancelled")
        assert [str(run.state) for run in site.store.runs()] == ["queued", "cancelled"]
        assert site.post(f"/runs/{site.run().id}/cancel").status == 409

    def test_rerun_takes_the_place_of_what_is_over(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        first = site.run()
        assert site.post(f"/runs/{first.id}/rerun").status == 409
        site.ends(RunState.INTERRUPTED, "the endpoint died")
        assert site.hook("pre-rollout/smoke", "c2").status == 412
        assert site.post(f"/runs/{first.id}/rerun").data["attempt"] == 2
        assert site.hook("pre-rollout/smoke", "c2").status == 202


class TestReports:
    @pytest.fixture(autouse=True)
    def report(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        self.folder = site.store.folder / site.run().folder
        (self.folder / "reports").mkdir(parents=True)
        (self.folder / "reports" / "report.html").write_text(f"<p>{SCRIPT}")
        (self.folder / "junit.xml").write_text("<x/>")
        (self.folder / "load.bin").write_bytes(b"\x00")
        (self.folder / ".secret").write_text("no")

    def file(self, site: Site, name: str) -> Answer:
        return site.get(f"/reports/{site.run().id}/{name}")

    def test_a_page_is_shown_in_a_sandbox(self, site: Site) -> None:
        answer = self.file(site, "reports/report.html")
        assert answer[:2] == (200, f"<p>{SCRIPT}")
        assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_xml_is_text_and_what_is_unknown_a_download(self, site: Site) -> None:
        assert self.file(site, "junit.xml").headers["content-type"] == "text/plain; charset=utf-8"
        assert self.file(site, "load.bin").headers["content-disposition"] == "attachment"

    def test_the_list_has_the_pages_first(self, site: Site) -> None:
        text = self.file(site, "").text
        assert text.index("reports/report.html") < text.index("junit.xml")
        assert ".secret" not in text

    @pytest.mark.parametrize(
        "name",
        ["../../state.sqlite", "..", ".secret", "reports", "reports//report.html", "/etc/passwd", "x", "a\0b",
         "a" * 300, "reports/../junit.xml", "./junit.xml", "..%2f..%2fstate.sqlite", "junit.xml/"],
    )  # fmt: skip
    def test_tricks_with_paths(self, site: Site, name: str) -> None:
        answer = self.file(site, name)
        assert answer.status == 404
        assert answer.line.startswith("the run has no file")

    def test_links_lead_nowhere_else(self, site: Site) -> None:
        (self.folder / "out.txt").symlink_to("/etc/passwd")
        (self.folder / "etc").symlink_to("/etc")
        (self.folder / "state.txt").hardlink_to(self.folder / "junit.xml")
        os.mkfifo(self.folder / "pipe")
        for name in ("out.txt", "etc/passwd", "pipe"):
            assert self.file(site, name).status == 404, name
        assert "passwd" not in self.file(site, "").text


class TestArgo:
    @pytest.mark.parametrize(
        ("state", "verdict"),
        [
            (RunState.PASSED, "pass"), (RunState.FAILED, "fail"), (RunState.UNKNOWN, "inconclusive"),
            (RunState.INTERRUPTED, "inconclusive"), (None, "inconclusive"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_every_verdict_is_200(self, site: Site, method: str, state: RunState | None, verdict: str) -> None:
        def ask() -> Answer:
            if method == "POST":
                return site.post("/argo/strict", checksum="c2", metadata={"region": "eu"})
            return site.get("/argo/strict?namespace=shop&name=web&checksum=c2&region=eu")

        assert ask().data["state"] == "queued"
        if state:
            site.ends(state, "why")
        answer = ask()
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.data == {
            "verdict": verdict, "ok": verdict == "pass", "state": str(state or "queued"),
            "reasons": ["why" if state else "the run is queued"], "run": site.endpoint.page(site.run()),
        }  # fmt: skip
        jsonschema.validate(answer.data, openapi.SCHEMAS["Verdict"])

    def test_the_score_of_a_judge_is_in_it(self, site: Site) -> None:
        site.post("/argo/smoke", checksum="c2")
        run = site.ends(RunState.PASSED)
        (site.store.folder / run.folder).mkdir(parents=True)
        (site.store.folder / run.folder / "result.json").write_text('{"score": 87.5, "samples": 420, "verdict": "x"}')
        found = site.post("/argo/smoke", checksum="c2").data
        assert (found["score"], found["samples"], found["verdict"]) == (87.5, 420, "pass")

    def test_what_cannot_be_asked_is_an_error_for_argo(self, site: Site) -> None:
        assert site.get("/argo/zzz?namespace=shop&name=web&checksum=c2").status == 404
        assert site.get("/argo/smoke?namespace=shop&name=web").status == 400
        assert site.get("/argo/smoke?namespace=shop&name=web&checksum=c2&x=1").status == 400
        assert not site.store.runs()


class TestK6:
    def launch(self, site: Site, phase: str = "Progressing", **metadata: str) -> Answer:
        given = {"script": "smoke", "wait_for_results": "false", **metadata}
        return site.post("/launch-test", phase=phase, checksum="c2", metadata=given)

    def test_a_suite_by_name_is_accepted(self, site: Site) -> None:
        assert self.launch(site)[:1] == (200,)
        assert site.run().key.suite == "smoke"

    def test_a_failure_is_400_with_its_output_and_fails_at_once_for_a_while(self, site: Site) -> None:
        self.launch(site)
        run = site.ends(RunState.FAILED, "p95 is 80 ms")
        (site.store.folder / run.folder).mkdir(parents=True)
        (site.store.folder / run.folder / "output.txt").write_text("checks: 0.0%\n")
        answer = self.launch(site)
        assert (answer.status, answer.line) == (400, "suite smoke FAILED: p95 is 80 ms")
        assert answer.text.endswith("checks: 0.0%\n")
        site.clock.at += 119
        assert self.launch(site).status == 400
        site.clock.at += 1
        assert self.launch(site).status == 200
        assert len(site.store.runs()) == 2

    def test_the_delay_is_the_users(self, site: Site) -> None:
        self.launch(site)
        site.ends(RunState.FAILED, "no")
        site.clock.at += 60
        assert self.launch(site, min_failure_delay="1m30s").status == 400
        assert self.launch(site, min_failure_delay="1m").status == 200
        site.ends(RunState.FAILED, "no")
        site.clock.at -= 86400
        assert self.launch(site, min_failure_delay="1m").status == 200, (
            "the clock was set back: how long ago is unknown"
        )

    def test_a_pass(self, site: Site) -> None:
        self.launch(site)
        site.ends(RunState.PASSED)
        answer = self.launch(site, wait_for_results="true", upload_to_cloud="true")
        assert (answer.status, answer.line) == (200, "suite smoke PASSED")
        assert "left alone: upload_to_cloud" in answer.text

    def test_env_vars_are_declared_parameters(self, site: Site) -> None:
        assert self.launch(site, script="strict", env_vars='{"region": "eu"}').status == 200
        assert site.run().parameters == {"region": "eu"}

    @pytest.mark.parametrize(
        ("metadata", "line"),
        [
            ({"script": ""}, "script not found in metadata; name a suite: payments, smoke, strict"),
            ({"script": "import http from 'k6/http';\n"}, "script: code of a payload is never run here. Make a suite "
             "of it under --suites and give its name (there is payments, smoke, strict)"),
            ({"min_failure_delay": "soon"}, "min_failure_delay: 'soon' is no duration like 2m or 1m30s"),
            ({"wait_for_results": "yes"}, "wait_for_results: 'yes' is neither true nor false"),
            ({"env_vars": "[]"}, 'env_vars is no JSON object of strings, like {"KEY": "value"}'),
            ({"env_vars": '{"PATH": "/x"}'}, "suite 'smoke' has no parameter 'PATH'; it has target"),
            ({"kubernetes_secrets": "{}"}, "kubernetes_secrets: a payload fetches no secrets; mount them where the "
             "endpoint runs"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, site: Site, metadata: dict[str, str], line: str) -> None:
        answer = self.launch(site, **metadata)
        assert (answer.status, answer.line) == (400, line)
        assert not site.store.runs()

    def test_the_phase_is_needed(self, site: Site) -> None:
        assert self.launch(site, phase="")[:2] == (400, "phase not found in payload\n")


class TestPage:
    def test_it_tells_of_runs_gates_and_suites_and_escapes_all_of_it(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2", target="http://x")
        site.ends(RunState.FAILED, SCRIPT)
        site.post("/hooks/pre-rollout/smoke", name="api", checksum="c5")
        site.ask("POST", "/gate/open", b'{"name": "web", "namespace": "shop"}', {"User-Agent": SCRIPT})
        site.hook("confirm-rollout/smoke", "c5", "Succeeded")
        answer = site.get("/")
        assert "<script" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        assert "&lt;b&gt;all&lt;/b&gt;" in answer.text
        assert "the rollout after c5" in answer.text
        assert "gate open" in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert "http" not in answer.text.replace("http-equiv", "").replace("http://x", "").replace(
            "http://web-canary", ""
        )

    def test_what_the_endpoint_keeps_for_itself_is_no_gate(self, site: Site) -> None:
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        site.hook("confirm-rollout/smoke", "c1", "Waiting")
        assert "Nobody has opened a gate yet." in site.get("/").text

    def test_what_does_not_fit_a_phone_is_on_the_next_page(self, site: Site) -> None:
        for number in range(2 * LATEST + 2):
            site.store.settle(site.store.accept(RunKey("shop", "web", f"c{number}", "smoke"), {})[0].id, PASSED, "")
        site.post("/hooks/pre-rollout/smoke", name="api", checksum="c0")
        seen, link = [], "/"
        while link:
            text = site.get(link).text
            seen += re.findall(r"revision (c\d+)", text)
            link = html.unescape(next(iter(re.findall(r'<a href="([^"]+)">older ones', text)), ""))
        assert seen[1:] == [f"c{number}" for number in reversed(range(2 * LATEST + 2))]
        assert seen[0] == "c0", "it is under way"

    def test_of_one_canary(self, site: Site) -> None:
        for name in ("web", "api"):
            site.post("/hooks/pre-rollout/smoke", name=name, checksum=f"of-{name}")
        (link,) = set(re.findall(r'href="(/\?[^"]+)">shop/<wbr>api', site.get("/").text))
        text = site.get(html.unescape(link)).text
        assert "of-api" in text
        assert "of-web" not in text
        assert site.get("/?canary=none").text.count("There is none.") == 1
        assert site.get("/?name=web").status == 400

    def test_nothing_yet(self, site: Site) -> None:
        assert "No suite is running." in site.get("/").text


class TestDescription:
    def test_it_has_every_route_and_method_that_is_served(self, site: Site) -> None:
        paths = site.get("/openapi.json").data["paths"]
        served = {(route.path.replace(":path}", "}"), method.lower()) for route in ROUTES for method in route.methods}
        assert {(path, method) for path, item in paths.items() for method in item} == {*served, ("/", "post")}

    def test_its_schemas_are_schemas_and_its_references_lead_somewhere(self) -> None:
        document: Any = openapi.document()
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        for reference in json.dumps(document).split('"$ref": "#/')[1:]:
            found = document
            for part in reference.partition('"')[0].split("/"):
                found = found[part]

    def test_each_operation_names_its_path_parameters_and_has_an_answer(self) -> None:
        document: Any = openapi.document()
        operations = [(path, operation) for path, item in document["paths"].items() for operation in item.values()]
        assert len({operation["operationId"] for _, operation in operations}) == len(operations)
        for path, operation in operations:
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert path.count("{") == len(named)
            assert operation["responses"]
