"""The cases of Gateway API's conformance suite as data: which request goes where, and what must come back.

The corpus holds the tables of the Go tests; what those compute (`$names`, and the gateway each file asks) stands here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

INFRA = "gateway-conformance-infra"
MESH = "gateway-conformance-mesh"
CONSUMER = "gateway-conformance-mesh-consumer"

NAMES = {
    "$ns": INFRA,
    "$confsuite.InfrastructureNamespace": INFRA,
    "$confsuite.InfraBackendServiceNameV1": "infra-backend-v1",
    "$confsuite.InfraBackendServiceNameV2": "infra-backend-v2",
    "$confsuite.InfraBackendServiceNameV3": "infra-backend-v3",
    "$confsuite.WebBackendNamespace": "gateway-conformance-web-backend",
    "$suite.AppBackendNamespace": "gateway-conformance-app-backend",
    "$suite.MeshNamespace": MESH,
    "$roundtripper.H2CPriorKnowledgeProtocol": "H2C_PRIOR_KNOWLEDGE",
    "$host": "echo",
}

SAME = f"{INFRA}/same-namespace/80"
GATEWAYS: dict[str, str | dict[range, str]] = {
    "gateway-http-listener-isolation": {
        range(8): f"{INFRA}/http-listener-isolation/80",
        range(8, 16): f"{INFRA}/http-listener-isolation-with-hostname-intersection/80",
    },
    "httproute-cross-namespace": f"{INFRA}/backend-namespaces/80",
    "httproute-hostname-intersection": {
        range(27): f"{INFRA}/httproute-hostname-intersection/80",
        range(27, 33): f"{INFRA}/httproute-hostname-intersection-all/80",
    },
    "httproute-listener-hostname-matching": f"{INFRA}/httproute-listener-hostname-matching/80",
    "httproute-listener-port-matching": {
        range(1): f"{INFRA}/httproute-listener-port-matching/80",
        range(1, 3): f"{INFRA}/httproute-listener-port-matching/8080",
        range(3, 5): f"{INFRA}/httproute-listener-port-matching/8090",
    },
    "httproute-multiple-gateways": {range(2): SAME, range(2, 4): f"{INFRA}/all-namespaces/80"},
    "httproute-redirect-port-and-scheme": {
        range(6): SAME,
        range(6, 9): f"{INFRA}/same-namespace-with-http-listener-on-8080/8080",
        range(9, 15): f"{INFRA}/same-namespace-with-https-listener/443",
    },
    "listenerset-allowed-routes-namespaces": f"{INFRA}/gateway-with-listener-sets-test-allowed-routes/80",
    "listenerset-dual-parentref-independence": f"{INFRA}/gateway-dual-parentref/80",
    "listenerset-gateway-parent-section-name-not-found": f"{INFRA}/gateway-section-name/80",
    "listenerset-http-routing": f"{INFRA}/gateway-with-listener-sets-http-routing/80",
}
"""The gateway and port that a file's cases are sent to, by index where they differ; else SAME."""

BY_HAND = {"httproute-retry", "httproute-service-types", "httproute-reference-grant"}
"""Files whose cases are made by code; they have a test of their own."""


PROTOCOLS = (
    "grpcroute-", "mesh/grpcroute-", "backendtlspolicy", "tlsroute-", "tcproute-", "httproute-https-listener",
    "gateway-with-clientcertificate-", "gateway-invalid-default-frontend-", "gateway-tls-backend-",
)  # fmt: skip
"""How the files begin that test_gateway_api_protocols.py is about."""


@dataclass(frozen=True, kw_only=True)
class Case:
    file: str
    """`httproute-matching`, `mesh/mesh-split`"""
    index: int
    entrance: str
    """A gateway and port, or the workload that calls."""
    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    expected: Mapping[str, Any]
    """The case as it stands in the corpus."""

    @property
    def name(self) -> str:
        return f"{self.file}#{self.index}"

    @property
    def in_mesh(self) -> bool:
        return self.file.startswith("mesh/")

    @property
    def statuses(self) -> tuple[int, ...]:
        response = self.expected.get("Response") or {}
        given = (*(response.get("StatusCodes") or ()), *filter(None, [response.get("StatusCode")]))
        return given or (200,)

    def to(self, host: str) -> Case:
        """The same request to another host."""
        return replace(self, host=host)


@dataclass(frozen=True, kw_only=True)
class File:
    """One Go file: its cases, and the manifests they count for, once each."""

    name: str
    manifests: tuple[str, ...]
    cases: tuple[Case, ...] = field(repr=False)


def load(corpus: Path) -> list[File]:
    return [_file(told) for told in json.loads((corpus / "cases.json").read_text())]


def gateway_http(files: list[File]) -> list[File]:
    """Plain HTTP through gateways."""
    kinds = ("httproute-", "gateway-http-", "listenerset-")
    plain = [f for f in files if f.name.startswith(kinds) and "https" not in f.name and f.name not in BY_HAND]
    return [replace(f, cases=tuple(c for c in f.cases if not c.entrance.endswith("/443"))) for f in plain]


def mesh_http(files: list[File]) -> list[File]:
    return [f for f in files if f.name.startswith("mesh/") and "grpc" not in f.name]


def _file(told: Mapping[str, Any]) -> File:
    name = told["file"].removeprefix("conformance/tests/").removesuffix(".go")
    manifests = dict.fromkeys(m for test in told["tests"] for m in test.get("Manifests") or ())
    cases = tuple(_cases(name, told["cases"]))
    return File(name=name, manifests=tuple(manifests), cases=cases)


def _cases(name: str, told: list[Any]) -> Iterator[Case]:
    for index, raw in enumerate(told):
        case = _resolved(raw, MESH if name.startswith("mesh/") else INFRA)
        request = case["Request"] if isinstance(case.get("Request"), dict) else {}
        entrance = _entrance(name, index)
        path = request.get("Path") or ("" if name.startswith("mesh/") else "/")
        headers = dict(request.get("Headers") or {})
        wanted = case.get("BackendSetResponseHeaders") or {}
        if wanted:
            headers["X-Echo-Set-Header"] = ",".join(f"{k}:{v}" for k, v in wanted.items())
        yield Case(
            file=name, index=index, entrance=entrance, method=request.get("Method") or "GET",
            host=request.get("Host") or _host(entrance), path=path, headers=headers, expected=case,
        )  # fmt: skip


def _entrance(name: str, index: int) -> str:
    if name.startswith("mesh/"):
        return f"{CONSUMER if name == 'mesh/mesh-consumer-route' and index == 0 else MESH}/echo-v1"
    found = GATEWAYS.get(name, SAME)
    return found if isinstance(found, str) else next(at for indices, at in found.items() if index in indices)


def _host(entrance: str) -> str:
    """What a client that was given an address only sends: the address, and the port if it is not the scheme's own."""
    if entrance.endswith("/echo-v1"):
        return "echo"
    port = entrance.rpartition("/")[2]
    return "203.0.113.1" if port in ("80", "443") else f"203.0.113.1:{port}"


def _resolved(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(item, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, namespace) for item in value]
    if value == "$ns":
        return namespace
    return NAMES.get(value, value) if isinstance(value, str) else value
