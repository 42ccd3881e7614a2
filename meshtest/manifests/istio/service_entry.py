"""ServiceEntry and WorkloadEntry by themselves: hosts with ports and endpoints that are no Service's.

Rules of validation: Istio's pkg/config/validation (ValidateServiceEntry); meaning: pilot/pkg/serviceregistry/
serviceentry/conversion.go. Not here: which endpoints a selector finds, several entries of one host (registry.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio import names
from meshtest.manifests.istio.registry_fields import SERVICE_ENTRY, WORKLOAD_ENTRY
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.service import Endpoint, Service, ServicePort

Resolution = Literal["STATIC", "DNS", "DNS_ROUND_ROBIN", "NONE"]

RESOLUTIONS: dict[str, Resolution] = {
    "NONE": "NONE", "STATIC": "STATIC", "DNS": "DNS", "DNS_ROUND_ROBIN": "DNS_ROUND_ROBIN", "DYNAMIC_DNS": "NONE",
}  # fmt: skip
BY_NAME = ("DNS", "DNS_ROUND_ROBIN")

UNIX = "unix://"
PORT_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")

PROTOCOLS = {
    "HTTP": "http", "HTTP_PROXY": "http", "HTTP2": "http2", "GRPC": "grpc", "GRPC-WEB": "grpc",
    "HTTPS": "tls", "TLS": "tls", "TCP": "tcp", "MONGO": "tcp", "MYSQL": "tcp", "REDIS": "tcp",
}  # fmt: skip
"""Istio sniffs ports without a protocol; HTTP is what it finds here."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One WorkloadEntry."""

    namespace: str
    endpoint: Endpoint


@per_document
def workload_entry(document: Document, notes: list[Diagnostic]) -> Entry | None:
    view = View.of(document, WORKLOAD_ENTRY, notes)
    own, _ = metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    found = endpoint(spec)
    if found is None:
        return None
    # Labels of the object count as those of its spec do (Istio).
    return Entry(namespace=document.namespace, endpoint=replace(found, labels={**own, **found.labels}))


@per_document
def service_entry(document: Document, notes: list[Diagnostic]) -> tuple[Service, ...]:
    """One service a host."""
    view = View.of(document, SERVICE_ENTRY, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None or not spec.require("hosts"):
        view.require("spec")
        return ()
    ports = tuple(_ports(spec))
    resolution = RESOLUTIONS[spec.choice("resolution", tuple(RESOLUTIONS), "NONE")]
    if spec.string("resolution") == "DYNAMIC_DNS":
        spec.not_supported("names are resolved at connection time only; requests go nowhere", "resolution")
    endpoints = tuple(_endpoints(spec, ports, resolution))
    _check(spec, resolution, endpoints)
    below = spec.child("workloadSelector")
    selector = below.string_map("labels") if below else {}
    addresses = tuple(_addresses(spec))
    if below is not None and any("*" in text for pair in selector.items() for text in pair):
        below.error("bad-value", f"{below.name('labels')}: wildcards are not supported in selectors", "labels")
    return tuple(
        Service(
            name=host,
            host=host,
            namespace=document.namespace,
            ports=ports,
            selector=selector,
            addresses=addresses,
            external=spec.choice("location", ("MESH_EXTERNAL", "MESH_INTERNAL"), "MESH_EXTERNAL") == "MESH_EXTERNAL",
            resolution="PODS" if selector and resolution == "STATIC" else resolution,
            endpoints=endpoints or _itself(spec, host, resolution, ports),
            visible_to=names.visible_to(spec.strings("exportTo"), document.namespace),
            subject_alt_names=spec.strings("subjectAltNames"),
            source=document.where(),
        )
        for host in _hosts(spec)
    )


def _hosts(spec: View) -> Iterator[str]:
    hosts = spec.strings("hosts")
    if not hosts:
        spec.error("missing-field", f"{spec.name('hosts')} needs at least one host", "hosts")
    for index, host in enumerate(hosts):
        if host == "*" or "*" in host[1:] or not host.strip():
            text = f"{spec.name('hosts', index)} must be a host or *.DOMAIN, not {host!r}"
            spec.error("bad-value", text, "hosts", index)
        else:
            yield host.lower()


def _itself(spec: View, host: str, resolution: Resolution, ports: tuple[ServicePort, ...]) -> tuple[Endpoint, ...]:
    """A host that is looked up by name and has no endpoints is its own."""
    if resolution not in BY_NAME or "workloadSelector" in spec:
        return ()
    return (Endpoint(address=host, ports=_targets(ports, {})),)


def _targets(ports: tuple[ServicePort, ...], own: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """An endpoint's own port, else the entry's targetPort, else the port itself."""
    return tuple((p.name, own.get(p.name, p.target)) for p in ports if isinstance(p.target, int))


def _ports(spec: View) -> Iterator[ServicePort]:
    seen: dict[int | str, View] = {}
    for view in spec.children("ports"):
        number, name = view.port("number"), view.string("name")
        if not view.require("number") or not view.require("name") or number is None:
            continue
        for value in (number, name):
            if value in seen:
                view.error("duplicate-port", f"port {value!r} stands twice, first at {seen[value].source()}")
            seen[value] = view
        target = view.port("targetPort")
        yield ServicePort(number=number, name=name, target=target or number, protocol=protocol(view))


def protocol(view: View) -> str:
    written = view.string("protocol").upper()
    if written and written not in PROTOCOLS:
        view.choice("protocol", tuple(PROTOCOLS), "HTTP")
    return PROTOCOLS.get(written, "http")


def _addresses(spec: View) -> Iterator[str]:
    for index, text in enumerate(spec.strings("addresses")):
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            where = spec.name("addresses", index)
            spec.error("bad-value", f"{where} must be an IP address or CIDR, not {text!r}", "addresses", index)
            continue
        yield str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _endpoints(spec: View, ports: tuple[ServicePort, ...], resolution: Resolution) -> Iterator[Endpoint]:
    known = {port.name for port in ports}
    for view in spec.children("endpoints"):
        found = endpoint(view)
        for name, _ in found.ports if found else ():
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                text = f"{view.name('ports', name)} is no port of the entry; it has {listed}"
                view.error("unknown-port", text, "ports", name)
        if resolution == "STATIC":
            _check_address(view, found.address if found else "")
        if found is not None:
            yield replace(found, ports=_targets(ports, dict(found.ports)))


def endpoint(view: View) -> Endpoint | None:
    """A WorkloadEntry's spec, and each of a ServiceEntry's endpoints."""
    ports = _endpoint_ports(view)
    labels, weight = view.string_map("labels"), view.integer("weight", least=0)
    account, address = view.string("serviceAccount"), view.string("address")
    if not address and not view.data.get("network"):
        view.require("address")
    if not address:
        return None
    if address.startswith(UNIX):
        _check_socket(view, address.removeprefix(UNIX), ports)
    return Endpoint(
        address=address,
        ports=tuple(ports.items()),
        labels=labels,
        locality=view.string("locality"),
        weight=1 if weight is None else weight,
        service_account=account,
    )


def _endpoint_ports(view: View) -> dict[str, int]:
    written = view.free("ports")
    for name, number in written.items():
        if not PORT_NAME.fullmatch(name):
            view.error("bad-value", f"{view.name('ports', name)} is no name of a port", "ports", name)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
            text = f"{view.name('ports', name)} must be 1 to 65535, not {number!r}"
            view.error("bad-value", text, "ports", name)
    return {name: n for name, n in written.items() if isinstance(n, int) and not isinstance(n, bool) and 0 < n < 65536}


# -- rules between fields


def _check_socket(view: View, path: str, ports: dict[str, int]) -> None:
    """Istio's ValidateUnixAddress: an absolute path, or `@name`."""
    if ports:
        view.error("bad-value", f"{view.name('ports')}: a unix socket has no ports", "ports")
    if not path.startswith(("/", "@")) or path.endswith("/"):
        text = f"{view.name('address')} must be unix:///PATH or unix://@NAME, not {UNIX + path!r}"
        view.error("bad-value", text, "address")


def _check(spec: View, resolution: Resolution, endpoints: tuple[Endpoint, ...]) -> None:
    if "workloadSelector" in spec and endpoints:
        spec.error("bad-value", f"{spec.name()} takes one of workloadSelector, endpoints; it has both")
    if resolution == "NONE" and endpoints:
        text = f"{spec.name('endpoints')}: with resolution NONE requests go where the caller sends them"
        spec.error("bad-value", f"{text}; use STATIC or DNS", "endpoints")
    if resolution == "DNS_ROUND_ROBIN" and len(endpoints) > 1:
        spec.error("bad-value", f"{spec.name('endpoints')}: DNS_ROUND_ROBIN takes at most one", "endpoints")
    if resolution in BY_NAME and not endpoints and "workloadSelector" not in spec:
        _check_names(spec, resolution)
    if resolution in BY_NAME and "/" in str(spec.data.get("addresses", "")):
        spec.error("bad-value", f"{spec.name('addresses')}: CIDRs go with NONE and STATIC only", "addresses")


def _check_address(view: View, address: str) -> None:
    if address and not address.startswith(UNIX) and not is_ip(address):
        text = f"{view.name('address')} must be an IP address with resolution STATIC, not {address!r}"
        view.error("bad-value", f"{text}; use DNS", "address")


def _check_names(spec: View, resolution: Resolution) -> None:
    for index, host in enumerate(spec.strings("hosts")):
        if "*" in host:
            text = f"{spec.name('hosts', index)}: {host!r} cannot be looked up ({resolution})"
            spec.error("bad-value", f"{text}; give endpoints, or use NONE", "hosts", index)


def is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
