"""What a pod's program is told: its environment, and the placeholders in its command.

 {port}        real port of the first container port     {pod}      name of the pod
 {port:NAME}   of the container port of that name        {version}  its version
 {port:8080}   of the container port of that number      {dir}      a scratch folder that goes with the pod

Other braces are left alone: commands are full of shell and JSON. Strongest first, the environment is: ports and proxy
(below), what the manifest says, POD_NAME / POD_NAMESPACE / SERVICE_VERSION and OTEL_..., the environment of the runner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from meshtest_envoy.pods.order import Order
from meshtest_envoy.pods.ports import Ports

MARK = "MESHTEST_RUNTIME"
"""Names the runtime folder, so that heal() knows a process that left its session."""
CONTAINER = "MESHTEST_CONTAINER"
"""Names one start of one container, so that its orphans are found when it ends."""

_PLACEHOLDER = re.compile(r"\{(?:port(?::(?P<port>[\w-]+))?|(?P<word>pod|version|dir))\}")


def of_pod(base: Mapping[str, str], order: Order, ports: Ports) -> dict[str, str]:
    """The environment of a pod's program, its exec probes and its hooks."""
    told = {"POD_NAME": order.name, "POD_NAMESPACE": order.namespace, "SERVICE_VERSION": order.version}
    return {
        **_without_proxy(base),
        **told,
        **_telemetry(order),
        **order.env,
        **_ports(order, ports),
        **_proxy(order.http_proxy),
    }


def _telemetry(order: Order) -> dict[str, str]:
    """What OpenTelemetry's SDKs read (specification, "Environment Variable Specification"). The port takes gRPC too,
    for those that set another protocol; spans leave after 50 ms, not after the SDK's 5 s."""
    if not order.collector:
        return {}
    resource = {
        "service.version": order.version, "k8s.pod.name": order.name, "k8s.namespace.name": order.namespace,
    }  # fmt: skip
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": order.collector,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": order.service,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in resource.items() if value),
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


def substitute(argv: tuple[str, ...], order: Order, ports: Ports, scratch: str) -> list[str]:
    """Fill in the placeholders; UnknownPort if one names a port that is not there."""
    words = {"pod": order.name, "version": order.version, "dir": scratch}

    def value(found: re.Match[str]) -> str:
        return words[found["word"]] if found["word"] else str(ports.find(found["port"] or ""))

    return [_PLACEHOLDER.sub(value, argument) for argument in argv]


def _ports(order: Order, ports: Ports) -> dict[str, str]:
    """Stronger than the manifest: a `PORT: "8080"` there means the container port."""
    told = {f"PORT_{number}": str(real) for number, real in ports.real.items()}
    for number, name in order.ports:
        if name:
            told[f"PORT_{name.upper().replace('-', '_')}"] = str(ports.real[number])
    return told | ({"PORT": str(ports.first)} if ports.first else {})


def _without_proxy(base: Mapping[str, str]) -> dict[str, str]:
    """A proxy of the machine would lead requests for `http://reviews:9080` out of the mesh."""
    return {name: value for name, value in base.items() if name.lower() not in ("http_proxy", "all_proxy", "no_proxy")}


def _proxy(url: str) -> dict[str, str]:
    local = "127.0.0.1,localhost"
    return {"http_proxy": url, "HTTP_PROXY": url, "no_proxy": local, "NO_PROXY": local} if url else {}
