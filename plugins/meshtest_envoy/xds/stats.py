"""What each proxy counts of the requests and connections that pass it: Envoy's stats access logger, and who called.

    outbound, gateway   s;OWNER;DESTINATION;code;grpc;flags;principal;cluster;authority
    inbound             d;OWNER/SERVICE;SOURCE;code;grpc;flags;principal;cluster;authority

Each series has one tag, these fields together, for what Envoy formats it formats for every request: a counter and three
histograms with Istio's 25 labels would cost as much as the request. What the ids stand for, peers.py keeps; what labels
they make, metrics/ says.

The destination's proxy learns who calls from a header that the caller's adds, as on Istio (x-envoy-peer-metadata). Its
name is a secret of the run, so that nobody can forge it, not even through a tunnel; the inbound proxy takes it off, and
so does a cluster that leads out of the mesh.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.peers import Peers
from meshtest_envoy.xds.resources import Json

PEER = "meshtest.peer"
"""Filter state: the workload that a listener stands beside, or, inbound, the one that calls (peers.py)."""

ISTIO_PEER_HEADERS = ("x-envoy-peer-metadata", "x-envoy-peer-metadata-id")
"""What a client sends under these names reaches no application in a mesh (Istio's peer_metadata filter)."""

SEPARATOR = ";"
GRPC_STATS = "envoy.filters.http.grpc_stats"

REQUESTS, DURATION, RECEIVED, SENT, MESSAGES = "requests", "duration", "received", "sent", "messages"
OPENED, CLOSED, TCP_RECEIVED, TCP_SENT = "opened", "closed", "tcp_received", "tcp_sent"


class Counting(NamedTuple):
    """What is counted of one run, and under which prefix; a warm Envoy serves several, one after the other."""

    prefix: str
    header: str
    """Tells the inbound proxy who calls."""
    peers: Peers

    @classmethod
    def of_run(cls, number: int) -> Counting:
        return cls(f"mt{number}", f"x-meshtest-peer-{secrets.token_hex(8)}", Peers())


class Log(NamedTuple):
    """The loggers of one proxy."""

    counting: Counting
    owner: str
    inbound: bool = False
    authority: bool = True
    """Which host was asked for counts: no service tells where the request went."""
    mutual: bool = True
    """The connection between the proxies may be mutual TLS."""
    grpc: bool = True
    """Calls of gRPC may pass, whose messages count; to know them costs each request some 2 % of Envoy's CPU."""

    def of_requests(self) -> list[Json]:
        """For a connection manager. A tunnel (CONNECT) is a connection."""
        histograms = [
            histogram(DURATION, "Milliseconds", "%DURATION%", self._request),
            histogram(RECEIVED, "Bytes", "%DOWNSTREAM_WIRE_BYTES_RECEIVED%", self._request),
            histogram(SENT, "Bytes", "%DOWNSTREAM_WIRE_BYTES_SENT%", self._request),
        ]
        # numbers of messages are part of the name: Envoy tells them in one word, and counts only what is a number
        messages = f"{self._request}{SEPARATOR}%FILTER_STATE({GRPC_STATS}:PLAIN)%"
        requests = [
            logger(self.counting.prefix, [counter(REQUESTS, self._request)], histograms, {} if self.inbound else PLAIN)
        ]
        if self.grpc:
            requests.append(logger(self.counting.prefix, [counter(MESSAGES, messages)], where=GRPC))
        return requests if self.inbound else [*requests, self._connections(TUNNEL, OPENED, CLOSED)]

    def of_connections(self) -> list[Json]:
        """For a TCP proxy that also logs when a connection has reached its upstream (flush_access_log_on_connected)."""
        if self.inbound and self.mutual:  # at the beginning the caller's certificate has not come yet
            return [self._connections(END, OPENED, CLOSED)]
        opened = [counter(OPENED, self._connection)]
        return [
            logger(self.counting.prefix, opened, where=BEGINNING),
            logger(self.counting.prefix, opened, where=IN_VAIN),
            self._connections(END, CLOSED),
        ]

    def _connections(self, where: Json, *once: str) -> Json:
        counters = [
            *(counter(name, self._connection) for name in once),
            counter(TCP_RECEIVED, self._connection, "%BYTES_RECEIVED%"),
            counter(TCP_SENT, self._connection, "%BYTES_SENT%"),
        ]
        return logger(self.counting.prefix, counters, where=where)

    @property
    def _request(self) -> str:
        return self._joined("%RESPONSE_CODE%", "%GRPC_STATUS_NUMBER%", "%REQ(:AUTHORITY)%")

    @property
    def _connection(self) -> str:
        return self._joined("", "", "%REQUESTED_SERVER_NAME%" if self.inbound else "%REQ(:AUTHORITY)%")

    def _joined(self, code: str, status: str, authority: str) -> str:
        principal = "%DOWNSTREAM_PEER_URI_SAN%" if self.inbound else "%UPSTREAM_PEER_URI_SAN%"
        fields = (
            "d" if self.inbound else "s",
            self.owner,
            f"%FILTER_STATE({PEER}:PLAIN)%" if self.inbound else "%UPSTREAM_METADATA(meshtest:peer)%",
            code,
            status,
            "%RESPONSE_FLAGS%",
            principal if self.mutual else "",
            "" if self.inbound else "%UPSTREAM_CLUSTER%",
            authority if self.authority else "",
        )
        return SEPARATOR.join(fields)


def logger(prefix: str, counters: Sequence[Json], histograms: Sequence[Json] = (), where: Json | None = None) -> Json:
    return {
        "name": "envoy.access_loggers.stats",
        **({"filter": where} if where else {}),
        "typed_config": {
            "@type": TYPE_URL + "envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": prefix,
            "counters": list(counters),
            "histograms": list(histograms),
        },
    }


def counter(name: str, fields: str, amount: str = "") -> Json:
    return {"stat": stat(name, fields), **({"value_format": amount} if amount else {"value_fixed": 1})}


def histogram(name: str, unit: str, value: str, fields: str) -> Json:
    return {"stat": stat(name, fields), "unit": unit, "value_format": value}


def stat(name: str, fields: str) -> Json:
    return {"name": name, "tags": [{"name": "k", "value_format": fields}]}


TUNNEL: Json = {"header_filter": {"header": {"name": ":method", "string_match": {"exact": "CONNECT"}}}}
PLAIN: Json = {"header_filter": {"header": {**TUNNEL["header_filter"]["header"], "invert_match": True}}}
GRPC: Json = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
BEGINNING: Json = {"log_type_filter": {"types": ["TcpUpstreamConnected"]}}
END: Json = {"log_type_filter": {"types": ["TcpConnectionEnd"]}}
IN_VAIN: Json = {"and_filter": {"filters": [END, {"response_flag_filter": {"flags": ["UF", "UH", "UO", "NR", "NC"]}}]}}
"""A connection that never reached its upstream was opened and closed in one."""


# -- who calls


def add_peer(counting: Counting) -> Json:
    """For a route configuration of callers: the header with the id of the caller."""
    return _added(counting, f"%FILTER_STATE({PEER}:PLAIN)%")


def add_gateway(counting: Counting, peer: str) -> Json:
    return _added(counting, peer)


def _added(counting: Counting, value: str) -> Json:
    header = {"header": {"key": counting.header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {"request_headers_to_add": [header]}


def take_off(counting: Counting) -> list[str]:
    """What the route to the application removes."""
    return [counting.header, *ISTIO_PEER_HEADERS]


def remember_peer(counting: Counting) -> Json:
    """The first filter of an inbound listener: at the time of logging the header is gone."""
    value = {
        "object_key": PEER,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": f"%REQ({counting.header})%"}},
        "skip_if_empty": True,
    }
    url = TYPE_URL + "envoy.extensions.filters.http.set_filter_state.v3.Config"
    return {
        "name": "envoy.filters.http.set_filter_state",
        "typed_config": {"@type": url, "on_request_headers": [value]},
    }


def count_messages() -> Json:
    """Tells the loggers how many messages a gRPC call had."""
    url = TYPE_URL + "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig"
    return {"name": GRPC_STATS, "typed_config": {"@type": url, "emit_filter_state": True}}


def forget_peer(counting: Counting) -> list[Json]:
    """HTTP filters of a cluster that leads out of the mesh."""
    mutation = TYPE_URL + "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
    codec = TYPE_URL + "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
    removal = {"mutations": {"request_mutations": [{"remove": counting.header}]}}
    return [
        {"name": "envoy.filters.http.header_mutation", "typed_config": {"@type": mutation, **removal}},
        {"name": "envoy.filters.http.upstream_codec", "typed_config": {"@type": codec}},
    ]
