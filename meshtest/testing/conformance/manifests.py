"""The services that the cases are about: `web` in two versions, behind what each case adds."""

from __future__ import annotations


def deployment(name: str, version: str, *, replicas: int = 1, port: int = 8080, more: str = "") -> str:
    """A version of a service; `more` are annotations of its pods, as `key: "value"` lines."""
    annotations = "".join(f"\n        {line}" for line in more.strip().splitlines())
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}-{version}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}, version: {version}}}}}
  template:
    metadata:
      labels: {{app: {name}, version: {version}}}
      annotations:
        meshtest.dev/drain: graceful{annotations}
    spec:
      serviceAccountName: {name}
      containers: [{{name: {name}, image: "example/{name}:{version}", ports: [{{containerPort: {port}}}]}}]
---
"""


def service(name: str, *, port: int = 80, protocol: str = "http", target: int = 8080) -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: {protocol}, port: {port}, targetPort: {target}}}]}}
---
"""


def subsets(name: str, policy: str = "", more: str = "") -> str:
    """A DestinationRule with a subset a version; `policy` is its trafficPolicy."""
    return f"""\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec:
  host: {name}
  trafficPolicy: {policy or "{}"}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
{more}"""


def routes(name: str, rules: str) -> str:
    """A VirtualService with these http rules, one a line."""
    listed = "\n".join(f"  - {line.strip()}" for line in rules.strip().splitlines())
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}]
  http:
{listed}
---
"""


def to(version: str, *, weight: int | None = None, host: str = "web") -> str:
    share = "" if weight is None else f", weight: {weight}"
    return f"{{destination: {{host: {host}, subset: {version}}}{share}}}"


WEB = service("web") + deployment("web", "v1") + deployment("web", "v2") + subsets("web")
CALLER = service("front") + deployment("front", "v1")
