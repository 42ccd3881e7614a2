"""Small manifests to put together: a Service, versions of it, rules for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import yaml

from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from meshtest.preflight import Finding, examine

Object = dict[str, Any]


def thing(kind: str, name: str = "web", *, api: str, spec: Any = None, **metadata: Any) -> Object:
    made: Object = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}}
    return made if spec is None else {**made, "spec": spec}


def istio(kind: str, name: str = "web", spec: Any = None, **metadata: Any) -> Object:
    groups = {"AuthorizationPolicy": "security", "PeerAuthentication": "security", "RequestAuthentication": "security"}
    api = {"Telemetry": "telemetry.istio.io/v1", "EnvoyFilter": "networking.istio.io/v1alpha3"}
    api |= {"WasmPlugin": "extensions.istio.io/v1alpha1"}
    return thing(
        kind, name, api=api.get(kind, f"{groups.get(kind, 'networking')}.istio.io/v1"), spec=spec or {}, **metadata
    )


def service(name: str = "web", *ports: int, **metadata: Any) -> Object:
    listed = [{"name": f"http-{port}", "port": port, "targetPort": 8080} for port in ports or (80,)]
    return thing("Service", name, api="v1", spec={"selector": {"app": name}, "ports": listed}, **metadata)


def version(
    name: str = "v1",
    app: str = "web",
    *,
    replicas: int = 1,
    pod: Object | None = None,
    container: Object | None = None,
    annotations: Object | None = None,
    **metadata: Any,
) -> Object:
    labels = {"app": app, "version": name}
    probe = {"httpGet": {"path": "/", "port": 8080}}
    stop = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    full = {"name": app, "image": "x", "readinessProbe": probe, "lifecycle": stop, **(container or {})}
    template = {
        "metadata": {"labels": labels, "annotations": annotations or {}},
        "spec": {"containers": [{k: v for k, v in full.items() if v is not None}], **(pod or {})},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return thing("Deployment", f"{app}-{name}", api="apps/v1", spec=spec, **metadata)


def to(host: str = "web", subset: str = "", weight: int | None = None, port: int | None = None) -> Object:
    destination: Object = {"host": host}
    if subset:
        destination["subset"] = subset
    if port:
        destination["port"] = {"number": port}
    return {"destination": destination} if weight is None else {"destination": destination, "weight": weight}


def rule(*routes: Object, **more: Any) -> Object:
    return {"route": list(routes or (to(),)), **more}


def route(
    *rules: Object, name: str = "web", hosts: Sequence[str] = ("web",), gateways: Any = None, **spec: Any
) -> Object:
    body = {"hosts": list(hosts), "http": list(rules or (rule(),)), **spec}
    return istio("VirtualService", name, {**body, "gateways": gateways} if gateways else body)


def subsets(*names: str, host: str = "web", **policy: Any) -> Object:
    listed = [{"name": name, "labels": {"version": name}} for name in names]
    spec: Object = {"host": host, "subsets": listed}
    return istio("DestinationRule", "web", {**spec, "trafficPolicy": policy} if policy else spec)


def gateway(name: str = "shop", port: int = 80, hosts: Sequence[str] = ("*",), tls: Any = None, **spec: Any) -> Object:
    server: Object = {"port": {"number": port, "name": f"p{port}", "protocol": "HTTPS" if tls else "HTTP"}}
    server |= {"hosts": list(hosts)} | ({"tls": tls} if tls else {})
    return istio("Gateway", name, {"selector": {"istio": "ingressgateway"}, "servers": [server], **spec})


SHOP = (service(), version("v1"), version("v2"))
"""A Service with two versions and nothing wrong."""


def read(*objects: Object) -> Documents:
    """As if they stood in one file."""
    return read_text(yaml.safe_dump_all(objects, sort_keys=False), "shop.yaml")


def found(*objects: Object, before: Sequence[Object] = ()) -> Sequence[Finding]:
    return examine(read(*objects), read(*before) if before else None)


def codes(*objects: Object, before: Sequence[Object] = ()) -> set[str]:
    return {finding.code for finding in found(*objects, before=before)}


def flat(*groups: Sequence[Object]) -> list[Object]:
    return list(itertools.chain(*groups))
