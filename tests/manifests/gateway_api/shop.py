"""Manifests the tests of this folder share: `web` with two versions, each with a Service of its own."""

from __future__ import annotations

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from meshtest.model.status import Status
from meshtest.spi.dialect import Compiled

WEB = "web.default.svc.cluster.local"
V1 = "web-v1.default.svc.cluster.local"
V2 = "web-v2.default.svc.cluster.local"


def service(name: str, selector: str, namespace: str = "default") -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {selector}, ports: [{{name: http, port: 80, targetPort: 8080}}, {{name: alt, port: 8080}}]}}
---
"""


def deployment(version: str) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web-{version}}}
spec:
  selector: {{matchLabels: {{app: web, version: {version}}}}}
  template:
    metadata: {{labels: {{app: web, version: {version}}}}}
    spec: {{containers: [{{name: web, image: web, ports: [{{containerPort: 8080}}]}}]}}
---
"""


SHOP = (
    service("web", "{app: web}")
    + "".join(service(f"web-{v}", f"{{app: web, version: {v}}}") + deployment(v) for v in ("v1", "v2"))
    + service("db", "{app: db}", "data")
)


def gateway(listeners: str = "", *, name: str = "edge", namespace: str = "default", more: str = "") -> str:
    listeners = listeners or "[{name: http, port: 80, protocol: HTTP}]"
    return f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  gatewayClassName: any
  listeners: {listeners}
  {more}
---
"""


def route(
    rules: str = "[{backendRefs: [{name: web-v1, port: 80}]}]",
    *,
    name: str = "web",
    namespace: str = "default",
    parents: str = "[{name: edge}]",
    hostnames: str = "[]",
    kind: str = "HTTPRoute",
    created: str = "",
) -> str:
    return f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec:
  parentRefs: {parents}
  hostnames: {hostnames}
  rules: {rules}
---
"""


def documents(*texts: str) -> Documents:
    return read_text("".join(texts), "m.yaml")


def compiled(*texts: str) -> Compiled:
    return compile(documents(SHOP, *texts))


def status_of(found: Compiled, name: str, part: str = "") -> Status:
    return next(s for s in found.statuses if s.name == name and part in s.part)


def reason(found: Compiled, name: str, condition: str, part: str = "") -> str:
    seen = status_of(found, name, part).condition(condition)
    assert seen is not None
    return f"{seen.holds} {seen.reason}"
