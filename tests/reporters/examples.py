"""The examples of reports/examples: what is made of their stored runs, and how the runs were recorded.

python -m tests.reporters.examples             writes report.html and graph.json of each anew
python -m tests.reporters.examples --record    records the runs anew (needs Envoy), and then that: for a new format
                                               (--record NAME: only that run)
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from meshtest import fault_bit, no_downtime
from meshtest.checks.canary_users import canary_users
from meshtest.mesh import open_mesh
from meshtest.mesh.mesh import Mesh
from meshtest.model.verdict import Outcome
from meshtest.reporters.html import page
from meshtest.run import open_run
from meshtest.run.report import report_of
from meshtest.settings import Settings
from meshtest.telemetry.graph import graph_of

EXAMPLES = Path(__file__).parents[2] / "reports" / "examples"
NAMES = ("pass", "unknown", "fail", "rehearsal")
KEPT = (
    "run.json",
    "events.jsonl",
    "hops.tsv",
    "spans.jsonl",
    "checks.json",
    "verdict.json",
    "config",
    "requests",
    "pods",
    "rehearsal.json",
)
SEED = 7

SHOP = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: price}
spec: {selector: {app: price}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  selector: {matchLabels: {app: web, version: v1}}
  template:
    metadata: {labels: {app: web, version: v1}, annotations: {meshtest.dev/calls: "http://price/"}}
    spec: {containers: [{name: web, image: "example/web:1.0", ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2}
spec:
  selector: {matchLabels: {app: web, version: v2}}
  template:
    metadata: {labels: {app: web, version: v2}, annotations: {meshtest.dev/calls: "http://price/"%s}}
    spec: {containers: [{name: web, image: "example/web:2.0", ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: price-v1}
spec:
  selector: {matchLabels: {app: price, version: v1}}
  template:
    metadata: {labels: {app: price, version: v1}}
    spec: {containers: [{name: price, image: "example/price:1.0", ports: [{containerPort: 8080}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - retries: {attempts: 0}
    route:
    - {destination: {host: web, subset: v1}, weight: 100}
    - {destination: {host: web, subset: v2}, weight: 0}
"""

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 1m
    threshold: 2
    maxWeight: 50
    stepWeight: 25
    metrics:
    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}
    webhooks:
    - {name: smoke, type: pre-rollout, url: "http://tester.shop/"}
    - {name: gate, type: confirm-promotion, url: "http://tester.shop/gate/check"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:v1", ports: [{containerPort: 8080}]}]}
"""


def page_of(name: str) -> str:
    """Of the stored run alone: no clock, no chance, no word on where this checkout lies."""
    report = report_of(open_run(EXAMPLES / name))
    return page(replace(report, folder=Path("reports/examples") / name))


def graph_json(name: str) -> str:
    graph = graph_of(open_run(EXAMPLES / name).history())
    return json.dumps(graph.as_data(), indent=2) + "\n"


def made(name: str) -> Iterator[tuple[Path, str]]:
    """Each file that is made of the run, and what is to be in it."""
    yield EXAMPLES / name / "report.html", page_of(name)
    yield EXAMPLES / name / "graph.json", graph_json(name)


# ---- recording


def _shifted(mesh: Mesh) -> None:
    """v2 takes over in two steps, and v1 ends."""
    with mesh.load("GET http://web/", rps=40) as load:
        for percent in (50, 100):
            with mesh.step(f"v2 at {percent} %"):
                mesh["web"].shift(v2=percent)
                load.until(requests=20)
        with mesh.step("v1 ends"):
            mesh["web"]["v1"].terminate()
            load.until(requests=10)
    mesh.judge(no_downtime())


def _fault_for_nobody(mesh: Mesh) -> None:
    """The fault is for requests with a header that no request has: what it would have done is not known."""
    with mesh.step("price is slow"), mesh.fault("price", delay="300ms", headers={"x-user": "tester"}):
        mesh.load("GET http://web/", rps=40, requests=40).run()
    mesh.judge(no_downtime(), fault_bit())


def _rehearsed(mesh: Mesh) -> None:
    """A Canary whose new version fails 2 of 10 requests is rolled back."""
    rehearsing = mesh.canary(text=CANARY, speed=20, traffic=["GET / 30rps"])
    rehearsing.run(to="v2", annotations={"meshtest.dev/errors": "503:20"})
    mesh.judge(canary_users())


SCENES: dict[str, tuple[str, Callable[[Mesh], None]]] = {
    "pass": ("", _shifted),
    "unknown": ("", _fault_for_nobody),
    "fail": (', meshtest.dev/errors: "503:30"', _shifted),
    "rehearsal": ("", _rehearsed),
}
OUTCOMES = {"rehearsal": Outcome.PASS}
"""Of those that are not called by theirs."""


def outcome_of(name: str) -> Outcome:
    return OUTCOMES[name] if name in OUTCOMES else Outcome[name.upper()]


def record(name: str) -> None:
    """A run like that, at a low rate; its folder without what belongs to the machine."""
    annotations, scene = SCENES[name]
    test = f"tests/test_rollout.py::test_{name}"
    with tempfile.TemporaryDirectory() as reports:
        settings = Settings(reports=Path(reports), seed=SEED, traces="all")
        with open_mesh(test, settings, command=f"pytest {test} --mesh-seed={SEED}") as mesh:
            if scene is not _rehearsed:
                mesh.apply(text=SHOP % annotations)
            scene(mesh)
            mesh.run.test_ended("passed" if outcome_of(name) is Outcome.PASS else "failed")
        _few_spans(mesh.run.directory)
        kept = [path for path in mesh.run.directory.iterdir() if path.name in KEPT]
        shutil.rmtree(EXAMPLES / name, ignore_errors=True)
        (EXAMPLES / name).mkdir(parents=True)
        for path in kept:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, EXAMPLES / name / path.name)


def _few_spans(run: Path) -> None:
    """Those of the requests that the page shows, without the paths of proxies' sockets: the traces of all would be most
    of the example."""
    path = run / "spans.jsonl"
    if not path.exists():
        return
    requests = open_run(run).history().requests
    slowest, failed = max(requests, key=lambda r: r.latency or 0.0), [r for r in requests if r.failed]
    shown = [slowest, *failed[:1]]
    lines = path.read_text().splitlines()
    wanted = [json.loads(line)["trace"] for line in lines if any(f'"{r.id}"' in line for r in shown)]
    kept = [re.sub(r'"/tmp/[^"]*/', '"', line) for line in lines if json.loads(line)["trace"] in wanted]
    path.write_text("".join(f"{line}\n" for line in kept))


def main(words: list[str]) -> None:
    for name in NAMES:
        if "--record" in words and (len(words) == 1 or name in words):
            record(name)
        for path, text in made(name):
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(EXAMPLES.parent.parent)} {len(text)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
