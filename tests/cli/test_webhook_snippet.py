"""`meshtest webhook snippet`: what it prints is read by Flagger's CRD, by our own reader, and by the endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from meshtest.cli import main
from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import reading
from meshtest.rollouts.canary.spec import Canary, HookType
from meshtest.webhook.routes import ROUTES
from tests.crds import schemas_of

SUITES = Path(__file__).parents[2] / "suites" / "flagger"
CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis:
    interval: 1m
    threshold: 3
    stepWeight: 10
"""


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(["webhook", "snippet", *words])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def canary_with(snippet: str) -> str:
    return CANARY + "".join(f"    {line}\n" for line in snippet.splitlines())


def canary(snippet: str) -> Canary:
    (document,) = read_text(canary_with(snippet), "canary.yaml")
    return reading.of(document)


def test_the_hooks_are_what_a_canary_takes(capsys: pytest.CaptureFixture[str]) -> None:
    target = "http://podinfo-canary.test:9898/"
    snippet = printed(
        capsys, "acceptance", "--suites", str(SUITES), "--url", "http://m.m:1/", "--metadata", f"target={target}"
    )
    hooks = canary(snippet).analysis.hooks
    assert [hook.type for hook in hooks] == [
        "pre-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback", "post-rollout",
    ]  # fmt: skip
    assert hooks[0].url == "http://m.m:1/hooks/pre-rollout/acceptance"
    assert hooks[0].metadata == {"target": target}
    assert all(hook.retries == 5 and hook.timeout == 15 for hook in hooks)


def test_every_type_has_a_hook(capsys: pytest.CaptureFixture[str]) -> None:
    types = [word for type in HookType for word in ("--type", type)]
    hooks = canary(printed(capsys, str(SUITES / "acceptance"), *types)).analysis.hooks
    assert [hook.type for hook in hooks] == list(HookType)
    paths = {route.path for route in ROUTES}
    assert "/hooks/{type}/{suite}" in paths
    assert [hook.url.rpartition("/hooks/")[2] for hook in hooks if "acceptance" not in hook.url] == [
        "post-rollout", "event",
    ]  # fmt: skip


def test_a_hook_that_is_asked_about_no_revision_is_held_and_says_how_long_a_pass_is_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    snippet = printed(capsys, "acceptance", "--suites", str(SUITES), "--type", "confirm-rollout")
    assert "# a pass is good for 600 s (max-age in suite.yaml): the interval must be shorter" in snippet
    (hook,) = canary(snippet).analysis.hooks
    assert hook.url.endswith("/hooks/confirm-rollout/acceptance?wait=10")
    assert hook.timeout > 10


def test_the_crd_takes_it(schemas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")
    snippet = printed(capsys, "acceptance", "--suites", str(SUITES))
    jsonschema.validate(yaml.safe_load(canary_with(snippet)), schemas_of(schemas / "flagger.yaml")["Canary"])


def test_what_has_a_default_is_a_comment_and_what_has_none_is_to_be_filled_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    snippet = printed(capsys, "acceptance", "--suites", str(SUITES), "--type", "pre-rollout")
    assert 'target: "TARGET"  # URL of the canary itself' in snippet
    assert '    # requests: "100"  # how many are sent' in snippet
    assert yaml.safe_load(snippet)["webhooks"][0]["metadata"] == {"target": "TARGET"}


def template(capsys: pytest.CaptureFixture[str], kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    made = yaml.safe_load(printed(capsys, "acceptance", "--suites", str(SUITES), kind))
    assert (made["apiVersion"], made["kind"]) == ("argoproj.io/v1alpha1", "AnalysisTemplate")
    (metric,) = made["spec"]["metrics"]
    return made, metric


def test_argo_asks_for_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    made, metric = template(capsys, "--argo")
    web = metric["provider"]["web"]
    assert web["url"] == "http://meshtest.meshtest:8080/argo/acceptance?wait=300"
    assert web["timeoutSeconds"] > 300
    assert metric["successCondition"] == 'result.verdict == "pass"'
    assert metric["failureCondition"] == 'result.verdict == "fail"'
    assert metric["inconclusiveLimit"] == metric["count"] - 1
    declared = {one["name"] for one in made["spec"]["args"]}
    used = {value.strip("{}").removeprefix("args.") for value in web["jsonBody"]["metadata"].values()}
    assert used == {"target", "requests", "p99"}
    assert used | {"name", "namespace", "revision", "token"} == declared


def test_a_job_runs_the_suite_once(capsys: pytest.CaptureFixture[str]) -> None:
    _, metric = template(capsys, "--job")
    spec = metric["provider"]["job"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["backoffLimit"] == 0
    assert container["command"][:4] == ["python", "-m", "pytest", "/suites/acceptance"]
    assert {one["name"] for one in container["env"]} == {
        "MESHTEST_PARAM_TARGET", "MESHTEST_PARAM_REQUESTS", "MESHTEST_PARAM_P99",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["acceptanc", "--suites", str(SUITES)], "did you mean 'acceptance'?"),
        (["acceptance"], "--suites DIR"),
        (["acceptance", "--suites", "/nowhere"], "no such folder"),
        (["acceptance", "--suites", str(SUITES), "--url", "meshtest:8080"], "--url 'meshtest:8080': write http://"),
        (["acceptance", "--suites", str(SUITES), "--metadata", "targt=x"], "did you mean 'target'?"),
        (
            ["acceptance", "--suites", str(SUITES), "--metadata", "p99=slow"],
            "parameter 'p99' of suite 'acceptance' must",
        ),
        (["acceptance", "--suites", str(SUITES), "--argo", "--type", "rollout"], "--type is about Flagger's hooks"),
    ],
)
def test_bad_input_is_one_message(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webhook", "snippet", *words]) == 4
    assert says in capsys.readouterr().err
