"""`web`, the service that most tests stand up: its manifests as text, to put together.

joined(SERVICE, deployment("v1", replicas=2), deployment("v2"), SUBSETS, weights(v1=90, v2=10))
"""

from __future__ import annotations

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""

UNVERSIONED = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:1", ports: [{containerPort: 8080}]}]}
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
"""


def joined(*documents: str) -> str:
    return "---\n".join(documents)


def deployment(version: str, annotations: str = "", *, replicas: int = 1) -> str:
    """The stand-in as `web-VERSION`; annotations as `meshtest.dev/errors: "503:50"`."""
    count = f"\n  replicas: {replicas}" if replicas != 1 else ""
    told = f", annotations: {{{annotations}}}" if annotations else ""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web-{version}}}
spec:{count}
  selector: {{matchLabels: {{app: web, version: {version}}}}}
  template:
    metadata: {{labels: {{app: web, version: {version}}}{told}}}
    spec: {{containers: [{{name: web, image: "example/web:{version}", ports: [{{containerPort: 8080}}]}}]}}
"""


def caller(name: str, namespace: str = "default") -> str:
    """A Deployment that only calls, under a service account of its own."""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{serviceAccountName: {name}, containers: [{{name: {name}, image: "example/{name}:1"}}]}}
"""


def virtual_service(rule: str, host: str = "web") -> str:
    """One with a single http rule, in flow style."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\n"
    return f"{head}spec:\n  hosts: [{host}]\n  http:\n  - {rule}\n"


def weights(*, v1: int, v2: int, spec: str = "hosts: [web]", rule: str = "") -> str:
    """A VirtualService that splits the traffic; `rule` is a further field of its http rule."""
    more = f"    {rule}\n" if rule else ""
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  {spec}
  http:
  - route:
    - {{destination: {{host: web, subset: v1}}, weight: {v1}}}
    - {{destination: {{host: web, subset: v2}}, weight: {v2}}}
{more}"""


VERSIONS = joined(SERVICE, deployment("v1"), deployment("v2"), SUBSETS)
"""Two versions, and no word yet on who gets the traffic."""
WEB = joined(VERSIONS, weights(v1=100, v2=0))
"""All of it goes to v1."""
