"""Routing in neutral terms: what Istio's VirtualService and Gateway API's HTTPRoute both say.

A dialect writes these with every default of its own filled in; a provider turns them into its proxy's words; so nothing
here is optional by accident: None means "off", not "the default". Percentages are 0 to 100, times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, NamedTuple

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.service import Labels

MESH = "mesh"
"""The reserved gateway name for callers inside the mesh (Istio)."""


@dataclass(frozen=True, kw_only=True)
class StringMatch:
    """How a string must look. `path_prefix` compares path elements (Gateway API), `prefix` characters."""

    kind: Literal["exact", "prefix", "path_prefix", "regex", "present"]
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, kw_only=True)
class HeaderMatch:
    """A condition on a request header; `:method`, `:authority` and `:scheme` are pseudo headers as in HTTP/2."""

    name: str
    match: StringMatch
    invert: bool = False
    missing_is_empty: bool = False
    """Treat an absent header as "" (Istio's withoutHeaders: absent matches)."""
    claim: tuple[str, ...] = ()
    """The path of a claim of the verified token, in place of a header (Istio's `@request.auth.claims`)."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Conditions that must all hold. Empty: every request."""

    path: StringMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[tuple[str, StringMatch], ...] = ()
    port: int | None = None
    """The port of the destination host (mesh) or of the listener (gateway)."""
    caller_labels: Labels = field(default_factory=dict)
    caller_namespace: str = ""
    gateways: tuple[str, ...] = ()
    """Overrides the table's gateways for this match (Istio); then caller_labels do not count."""
    name: str = ""

    @property
    def is_catch_all(self) -> bool:
        """No condition on the request itself: nothing after it can be reached by the same caller."""
        any_path = self.path is None or (self.path.kind, self.path.value) in {
            ("prefix", "/"), ("path_prefix", "/"), ("regex", ".*"),
        }  # fmt: skip
        return any_path and not self.headers and not self.query

    @property
    def selects_users(self) -> bool:
        """True if it picks requests by who sends them (headers, query, caller) rather than by what is asked for."""
        return bool(self.query or self.caller_labels or self.caller_namespace) or any(
            not h.name.startswith(":") for h in self.headers
        )


@dataclass(frozen=True, kw_only=True)
class HeaderEdits:
    """Changes to headers, in the order set, add, remove."""

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.set or self.add or self.remove)


NO_EDITS = HeaderEdits()


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A service port, or one subset of it, with its share of the requests."""

    host: str
    """Fully qualified."""
    port: int
    """0, in a RouteTable only: the port the request came in on."""
    subset: str = ""
    weight: int = 1
    request_headers: HeaderEdits = NO_EDITS
    response_headers: HeaderEdits = NO_EDITS
    rewrite: Rewrite | None = None
    """For this share of the requests, in place of the route's (Gateway API: filters of a backendRef)."""
    redirect: Redirect | None = None
    """This share of the requests is redirected instead."""
    mirrors: tuple[Mirror, ...] = ()
    broken: int = 0
    """This share of the requests is answered with this status: the reference leads nowhere (Gateway API: 500)."""
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class Delay:
    seconds: float
    percent: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Abort:
    """Answer in place of the service: an HTTP status, or a gRPC status code (then HTTP 200)."""

    http_status: int | None = None
    grpc_status: int | None = None
    percent: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Injected by the proxy before routing: not retried, not covered by the route's timeout (Istio)."""

    delay: Delay | None = None
    abort: Abort | None = None
    headers: tuple[HeaderMatch, ...] = ()
    """Only requests that match these; used for faults at the destination, where there is no route to scope them."""
    source: Source = NOWHERE


@dataclass(frozen=True, kw_only=True)
class Mirror:
    destination: Destination
    percent: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Retries by the caller's proxy; `attempts` counts the retries, not the first try."""

    attempts: int
    on: tuple[str, ...]
    """Envoy's retry_on terms, for example `connect-failure`."""
    status_codes: tuple[int, ...] = ()
    per_try_timeout: float | None = None
    backoff: float | None = None
    """Base interval."""
    other_host: bool = True
    """Prefer a host that was not tried yet."""
    other_localities: bool = False


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    authority: str = ""
    prefix: str = ""
    """Replaces what the path match matched."""
    regex: tuple[str, str] | None = None
    """(pattern, substitution), RE2."""
    full_path: str = ""


@dataclass(frozen=True, kw_only=True)
class Redirect:
    status: int = 301
    scheme: str = ""
    authority: str = ""
    port: int | None = None
    """0, in a RouteTable only: the port the request came in on."""
    path: str = ""
    prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class DirectResponse:
    status: int
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Cors:
    origins: tuple[StringMatch, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: float | None = None
    credentials: bool | None = None
    forward_unmatched_preflights: bool = True


@dataclass(frozen=True, kw_only=True)
class Route:
    """One way a request can go: the conditions, then exactly one of destinations, redirect, direct response."""

    name: str = ""
    match: Match = Match()
    destinations: tuple[Destination, ...] = ()
    resting: tuple[str, ...] = ()
    """Hosts whose share is 0 at present: versions that no request goes to (Gateway API)."""
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    timeout: float | None = None
    retry: Retry | None = None
    fault: Fault | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    request_headers: HeaderEdits = NO_EDITS
    response_headers: HeaderEdits = NO_EDITS
    source: Source = NOWHERE


@dataclass(frozen=True, kw_only=True)
class StreamMatch:
    """Conditions on a connection, all of which must hold: Istio's L4MatchAttributes, TLSRoute, TCPRoute."""

    port: int | None = None
    sni_hosts: tuple[str, ...] = ()
    """Server names of the TLS handshake, or wildcards; empty: any, and plain TCP."""
    destination_subnets: tuple[str, ...] = ()
    caller_labels: Labels = field(default_factory=dict)
    caller_namespace: str = ""
    gateways: tuple[str, ...] = ()
    """Overrides the table's gateways for this match (Istio)."""


@dataclass(frozen=True, kw_only=True)
class StreamRoute:
    """One way a connection can go, by the bytes: no request in it is looked at."""

    name: str = ""
    match: StreamMatch = StreamMatch()
    destinations: tuple[Destination, ...] = ()
    source: Source = NOWHERE


@dataclass(frozen=True, kw_only=True)
class RouteTable:
    """The routes of one VirtualService (or HTTPRoute): for which hosts, and for callers behind which gateways."""

    name: str
    namespace: str
    hosts: tuple[str, ...]
    """Fully qualified, or wildcards (`*`, `*.example.com`)."""
    gateways: tuple[str, ...] = (MESH,)
    """`namespace/name`, `namespace/name/server` for one server of it, or `mesh`."""
    routes: tuple[Route, ...] = ()
    tls: tuple[StreamRoute, ...] = ()
    """Connections that stay encrypted, by server name."""
    tcp: tuple[StreamRoute, ...] = ()
    order: Literal["listed", "specific"] = "listed"
    """Among routes of one host: as the manifest lists them (Istio), or the most specific first, across tables (Gateway
    API)."""
    kind: str = "VirtualService"
    """Of the document, for those who explain."""
    visible_to: tuple[str, ...] = ()
    """Namespaces whose callers and gateways see it; empty: all of them."""
    created: str = ""
    """creationTimestamp, the first key when two tables claim one host."""
    source: Source = NOWHERE

    @property
    def places(self) -> tuple[Source, ...]:
        """Where its rules stand, each once: a rule with several matches is several routes."""
        sources = [*(r.source for r in self.routes), *(s.source for s in (*self.tls, *self.tcp))]
        return tuple(dict.fromkeys(sources))


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """How a server of a gateway treats TLS."""

    mode: Literal["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"] = "SIMPLE"
    certificates: tuple[str, ...] = ()
    """Keys of credentials (Topology.credentials), `namespace/name`."""
    client_ca: tuple[str, ...] = ()
    """Keys of credentials whose CA certificates clients must be signed by."""
    subject_alt_names: tuple[str, ...] = ()
    min_version: str = ""
    """`TLSV1_2`, as Istio and Envoy write it; "" for the default."""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Server:
    """One listener of a Gateway."""

    port: int
    protocol: str
    """HTTP, HTTP2, GRPC, HTTPS, TLS, TCP."""
    name: str = ""
    hosts: tuple[str, ...] = ("*",)
    tls: ServerTls | None = None
    https_redirect: bool = False
    """Answer plain HTTP with 301 to https (Istio's tls.httpsRedirect)."""
    source: Source = field(default=NOWHERE, compare=False)


class Door(NamedTuple):
    """Where requests from outside enter: a port of the ingress, or of a gateway with an address of its own."""

    port: int
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    name: str
    namespace: str
    servers: tuple[Server, ...]
    address: str = ""
    """Gateways of one address share its ports. Istio: "", the ingress; Gateway API: each its own, `namespace/name`."""
    isolated: bool = False
    """A request belongs to the server with the most specific host only (Gateway API: listener isolation)."""
    selector: Labels = field(default_factory=dict)
    """Labels of the pods that serve it (Istio); policies select these."""
    source: Source = NOWHERE

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def doors(self) -> tuple[Door, ...]:
        return tuple(sorted({Door(server.port, self.address) for server in self.servers}))


@dataclass(frozen=True, kw_only=True)
class VirtualHost:
    """What one caller's proxy knows about one host: domains to recognise, routes in order. Ready for any proxy."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
