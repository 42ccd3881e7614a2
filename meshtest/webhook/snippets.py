"""YAML of a suite, ready for a Canary, or for Argo Rollouts: by its web provider, or as a Job that needs no endpoint.

The hooks together are the third answer that Flagger does not know, "still running": pre-rollout starts the suite, the
confirm-* hooks hold while it runs, rollback says yes once it has failed (webhook/hooks.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshtest.rollouts.canary.spec import HookType
from meshtest.webhook.suites import Parameter, Suite
from meshtest.webhook.work import variable

TYPES = (
    HookType.PRE_ROLLOUT,
    HookType.CONFIRM_TRAFFIC_INCREASE,
    HookType.CONFIRM_PROMOTION,
    HookType.ROLLBACK,
    HookType.POST_ROLLOUT,
)
"""All that a weighted canary needs for one suite."""
WHAT: Mapping[HookType, str] = {
    HookType.CONFIRM_ROLLOUT: "before it starts; it is asked about the revision before (FL19)",
    HookType.PRE_ROLLOUT: "starts the suite",
    HookType.ROLLOUT: "a failed check at each interval once the suite has failed",
    HookType.CONFIRM_TRAFFIC_INCREASE: "holds the weight while it runs; weighted canaries only (FL43)",
    HookType.CONFIRM_PROMOTION: "holds the promotion while it runs",
    HookType.ROLLBACK: "rolls back at the next interval once it has failed",
    HookType.POST_ROLLOUT: "it is over: what still runs is cancelled",
    HookType.EVENT: "tells the endpoint of every event",
}
ALONE = (HookType.POST_ROLLOUT, HookType.EVENT)
"""They name no suite."""
ONE_CALL = 300.0
"""Seconds that one call of Argo's may last: what stands between it and the endpoint may not like longer ones."""
HELD = 10
"""Seconds that confirm-rollout is held, so that what is deployed when a short suite begins is what its verdict lets in
(confirm.py); below `timeout`."""
RETRIES = 5
"""1 + 2 + 4 + 8 + 16 s of patience while the endpoint is replaced."""
JOB_IMAGE = "registry.example.com/meshtest:1"


def flagger(suite: Suite, url: str, types: Sequence[HookType] = TYPES, given: Mapping[str, str] | None = None) -> str:
    """For `spec.analysis` of a Canary."""
    lines = [f"# Suite {suite.name}{_about(suite)}", "# Goes into spec.analysis of the Canary.", "webhooks:"]
    for type in types:
        lines += _hook(suite, url, type, given or {})
    return "\n".join(lines) + "\n"


def _hook(suite: Suite, url: str, type: HookType, given: Mapping[str, str]) -> Iterator[str]:
    path = f"/hooks/{type}" if type in ALONE else f"/hooks/{type}/{suite.name}"
    yield f"- name: {suite.name}-{type}  # {WHAT[type]}"
    if type is HookType.CONFIRM_ROLLOUT:
        yield f"  # a pass is good for {suite.max_age:g} s (max-age in suite.yaml): the interval must be shorter"
        path += f"?wait={HELD}"
    yield f"  type: {type}"
    yield f"  url: {_quoted(url + path)}"
    yield "  timeout: 15s"
    yield f"  retries: {RETRIES}"
    if type not in (*ALONE, HookType.ROLLBACK):
        yield from _metadata(suite, given, "  ")


def _metadata(suite: Suite, given: Mapping[str, str], indent: str) -> Iterator[str]:
    """What must be given stands, what has a default stands as a comment."""
    needed = {name: one for name, one in suite.parameters.items() if name in given or one.default is None}
    if needed:
        yield f"{indent}metadata:"
    for name, one in suite.parameters.items():
        if name in needed:
            yield f"{indent}  {name}: {_quoted(given.get(name, name.upper()))}{_comment(one)}"
        else:
            default = f"{name}: {_quoted(one.default or '')}"
            yield f"{indent}  # {default}{_comment(one)}" if needed else f"{indent}# metadata: {{{default}}}"


def argo(suite: Suite, url: str, given: Mapping[str, str] | None = None) -> str:
    """An AnalysisTemplate whose metric is the verdict; inconclusive, as nothing was proven, pauses the Rollout."""
    wait = min(suite.timeout, ONE_CALL)
    count = math.ceil(suite.timeout / wait)
    web = [
        "      web:",
        "        method: POST",
        f"        url: {_quoted(f'{url}/argo/{suite.name}?wait={wait:g}')}",
        f"        timeoutSeconds: {math.ceil(wait) + 10}",
        "        headers:",
        '        - {key: Authorization, value: "Bearer {{args.token}}"}',
        "        jsonBody:",
        '          name: "{{args.name}}"',
        '          namespace: "{{args.namespace}}"',
        '          checksum: "{{args.revision}}"',
    ]
    if suite.parameters:
        web += ["          metadata:", *(f'            {name}: "{{{{args.{name}}}}}"' for name in suite.parameters)]
    metric = [
        f"    count: {count}",
        "    interval: 10s",
        f"    inconclusiveLimit: {count - 1}",
        '    successCondition: result.verdict == "pass"',
        '    failureCondition: result.verdict == "fail"',
    ]
    own = [
        "  - name: name  # of the Rollout",
        "  - name: namespace",
        "  - name: revision  # in the Rollout: valueFrom: {podTemplateHashValue: Latest}",
        "  - name: token",
        "    valueFrom:",
        "      secretKeyRef: {name: meshtest-token, key: token}",
    ]
    return _template(suite, [*own, *_arguments(suite, given or {})], [*metric, "    provider:", *web])


def job(suite: Suite, given: Mapping[str, str] | None = None, *, image: str = JOB_IMAGE) -> str:
    """An AnalysisTemplate that runs the suite itself. Argo does not show why a Job has failed; its log does."""
    container = [
        "              - name: suite",
        f"                image: {_quoted(image)}",
        f"                command: [python, -m, pytest, {_quoted(f'/suites/{suite.name}')}, -p, no:cacheprovider]",
    ]
    if suite.parameters:
        container.append("                env:")
        for name in suite.parameters:
            container.append(f'                - {{name: {variable(name)}, value: "{{{{args.{name}}}}}"}}')
    metric = [
        "    provider:",
        "      job:",
        "        spec:",
        "          backoffLimit: 0  # a suite is not run until it passes",
        f"          activeDeadlineSeconds: {math.ceil(suite.timeout)}",
        "          template:",
        "            spec:",
        "              restartPolicy: Never",
        "              automountServiceAccountToken: false",
        "              containers:",
        *container,
    ]
    return _template(suite, _arguments(suite, given or {}), metric, name=f"{suite.name}-job")


def _template(suite: Suite, arguments: list[str], metric: list[str], *, name: str = "") -> str:
    lines = [
        f"# Suite {suite.name}{_about(suite)}",
        "apiVersion: argoproj.io/v1alpha1",
        "kind: AnalysisTemplate",
        "metadata:",
        f"  name: {name or suite.name}",
        "spec:",
        *(["  args:", *arguments] if arguments else []),
        "  metrics:",
        f"  - name: {suite.name}",
        *metric,
    ]
    return "\n".join(lines) + "\n"


def _arguments(suite: Suite, given: Mapping[str, str]) -> list[str]:
    lines = []
    for name, one in suite.parameters.items():
        value = given.get(name, one.default)
        lines.append(f"  - name: {name}{_comment(one)}")
        if value is not None:
            lines.append(f"    value: {_quoted(value)}")
    return lines


def _about(suite: Suite) -> str:
    return f": {suite.about}" if suite.about else ""


def _comment(parameter: Parameter) -> str:
    about = " ".join(parameter.about.split())
    return f"  # {about}" if about else ""


def _quoted(value: Any) -> str:
    """A double-quoted scalar of JSON is one of YAML."""
    return json.dumps(str(value), ensure_ascii=False)
