"""A mesh on a fake provider, with two versions of `web` behind a VirtualService: no process is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest import Mesh, Settings
from meshtest.run import Run
from meshtest.testing import FakeProvider

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  replicas: 2
  selector: {matchLabels: {app: web, version: v1}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {containers: [{name: web, image: "example/web:1", ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2}
spec:
  selector: {matchLabels: {app: web, version: v2}}
  template:
    metadata: {labels: {app: web, version: v2}}
    spec: {containers: [{name: web, image: "example/web:2", ports: [{containerPort: 8080}]}]}
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
  - route:
    - {destination: {host: web, subset: v1}, weight: 100}
    - {destination: {host: web, subset: v2}, weight: 0}
"""

THIRD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v3}
spec:
  selector: {matchLabels: {app: web, version: v3}}
  template:
    metadata: {labels: {app: web, version: v3}}
    spec: {containers: [{name: web, image: "example/web:3", ports: [{containerPort: 8080}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
"""

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(reports=tmp_path, seed=7)


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def bare(provider: FakeProvider, settings: Settings) -> Iterator[Mesh]:
    """Nothing applied yet."""
    with Mesh(provider, Run("unit", settings, seed=7), settings) as mesh:
        yield mesh


@pytest.fixture
def mesh(bare: Mesh) -> Mesh:
    bare.apply(text=WEB)
    return bare
