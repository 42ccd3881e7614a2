"""Manifests to break, and a mesh of this very process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import procs

from meshtest import Mesh, Settings, open_mesh
from meshtest.lib.wait import until
from tests.conftest import unhurried

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-VERSION}
spec:
  selector: {matchLabels: {app: web, version: VERSION}}
  template:
    metadata:
      labels: {app: web, version: VERSION}
      annotations: {ANNOTATIONS}
    spec: {containers: [{name: web, image: example/web, ports: [{containerPort: 8080}]}]}
"""

SUBSETS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: ["*"]
  gateways: [shop]
  http: [{route: [{destination: {host: web}}]}]
"""


def joined(*documents: str) -> str:
    return "---\n".join(documents)


def deployment(version: str, annotations: str = "") -> str:
    return DEPLOYMENT.replace("VERSION", version).replace("ANNOTATIONS", annotations)


def virtual_service(rule: str, host: str = "web") -> str:
    """One with a single http rule, in flow style."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\n"
    return f"{head}spec:\n  hosts: [{host}]\n  http:\n  - {rule}\n"


VERSIONS = joined(SERVICE, deployment("v1"), deployment("v2"), SUBSETS)
"""Two versions, and no word yet on who gets the traffic."""

WEB = joined(
    VERSIONS,
    virtual_service(
        "route: [{destination: {host: web, subset: v1}, weight: 100}, "
        "{destination: {host: web, subset: v2}, weight: 0}]"
    ),
)
"""All of it goes to v1."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Mesh]]:
    """Open a mesh with these settings; at the end nothing that it started may be left."""
    others = {one.pid for one in started()}  # of fixtures that live longer than this test
    with ExitStack() as stack:

        def open(**settings: Any) -> Mesh:
            told = Settings(reports=tmp_path / "reports", seed=7, **settings)
            return stack.enter_context(open_mesh("trouble", told))

        yield open

    def left() -> list[procs.Stat]:
        return [one for one in started() if one.pid not in others]

    until(lambda: not left(), within=unhurried(1.0), what=lambda: f"left: {left()}")


def started() -> list[procs.Stat]:
    """The living below this process."""
    import os

    return procs.descendants(os.getpid(), procs.everyone())
