"""What a proxy's span says in Envoy's tags: which side it is of, whom it chose, why it went no further. Pure.

Tags: Envoy's source/common/tracing/http_tracer_impl.cc (`setCommonTags`, `finalizeDownstreamSpan`,
`finalizeUpstreamSpan`); `meshtest.direction`, `x-meshtest-id` and `upstream_attempts` are ours. Not here: how spans
become calls (trace.py).
"""

from __future__ import annotations

from typing import Literal

from meshtest.model.request import REQUEST_ID, UNKNOWN_SERVER, Server
from meshtest.model.span import Span

Side = Literal["gateway", "outbound", "inbound", ""]

DIRECTION, SERVER, ATTEMPTS = "meshtest.direction", "meshtest.server", "upstream_attempts"
"""The side, the endpoint that was chosen (`service/version/pod`, where told), how often a proxy tried."""

EXPLAIN = frozenset(
    {
        "UH", "UF", "UO", "NR", "NC", "NFCF", "FI", "RL", "RLSE", "UAEX", "IH", "OM", "DF", "DO", "UDO", "UPE", "DPE",
        "LR", "UR", "UC", "UT", "URX", "DC", "DT", "UMSDR", "SI",
    }
)  # fmt: skip
"""Response flags that say why a request left no span at the other end: it did not leave, or was cut on its way."""

FAULTS = {"DI": "delay", "FI": "abort"}
"""Flags of the fault filter."""


def flags(span: Span) -> frozenset[str]:
    """Envoy's response flags."""
    text = str(span.attributes.get("response_flags", ""))
    return frozenset(flag for flag in text.replace(" ", "").split(",") if flag not in ("", "-"))


def code(span: Span) -> int:
    """The HTTP status; 0 if there was none, or none is told."""
    return number(span, "http.status_code") or number(span, "http.response.status_code")


def failed(span: Span) -> bool:
    """A client's span of a 4xx has the status `error` by OpenTelemetry's conventions, but no service has failed."""
    status = code(span)
    if 400 <= status < 500:
        return False
    return span.status == "error" or status >= 500 or str(span.attributes.get("error", "")).lower() == "true"


def request_id(span: Span) -> str:
    """The load's id of the request, as `load1-17`; "" if the span does not tell."""
    told = str(span.attributes.get(REQUEST_ID, ""))
    return "" if told == "-" else told


def number(span: Span, tag: str) -> int:
    """A tag that counts; Envoy's tags are text."""
    value = str(span.attributes.get(tag, ""))
    return int(value) if value.isdigit() else 0


def cluster(span: Span) -> str:
    """`outbound|80|v1|web.default.svc.cluster.local`; "" if none was chosen."""
    name = str(span.attributes.get("upstream_cluster.name") or span.attributes.get("upstream_cluster") or "")
    return "" if name == "-" else name


def side(span: Span) -> Side:
    """Of a caller's proxy, of a destination's, of a gateway; "" of no proxy."""
    if span.source != "proxy":
        return ""
    told: Side = span.attributes.get(DIRECTION, "")
    if told in ("gateway", "outbound", "inbound"):
        return told
    if cluster(span).startswith("inbound|"):
        return "inbound"
    if span.kind == "client" or cluster(span).startswith("outbound|"):
        return "gateway" if "gateway" in span.service else "outbound"
    return "inbound"


def chosen(span: Span) -> Server:
    """Whom the proxy sent it to: the endpoint if it tells, else what the cluster's name says."""
    told = str(span.attributes.get(SERVER, ""))
    if told and told != "-":
        return Server.parse(told)
    parts = cluster(span).split("|")
    if len(parts) == 4 and parts[0] == "outbound":
        return Server(parts[3].partition(".")[0], parts[2])
    return UNKNOWN_SERVER


def expects_peer(span: Span) -> bool:
    """A try that must have come in at a proxy of the mesh: nothing says that it did not."""
    if span.kind != "client" or side(span) not in ("gateway", "outbound") or flags(span) & EXPLAIN:
        return False
    if span.attributes.get("http.method") == "CONNECT":
        return False  # a tunnel: what comes in at the other end is bytes
    if SERVER in span.attributes:
        return bool(chosen(span).pod)
    return cluster(span).startswith("outbound|")


def short(span: Span) -> str:
    """`web` of `web.default`: proxies are named by canonical service and namespace, services as they please."""
    if side(span) == "gateway":
        return "gateway"
    return span.service.partition(".")[0] if span.source == "proxy" else span.service


def label(service: str, version: str) -> str:
    """`web@v2`, or `web` if nobody knows the version."""
    return f"{service}@{version}" if service and version else service
