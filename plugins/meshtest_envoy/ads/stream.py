"""What one Envoy should have, was sent, and has acknowledged. State-of-the-world ADS; no sockets here.

Every resource has a version that grows when it changes. A response carries resources at certain versions under a nonce;
the ACK of that nonce moves `acked` forward, a NACK stores Envoy's text. Waiting for a configuration is then a question
about versions, whichever response brought them:

    put(type, resources) ──► response(nonce) ──► Envoy ──► request(nonce) ──► acked[type][name] = version
                                                       └──► request(nonce, error_detail) ──► rejection

Source: Envoy's "xDS REST and gRPC protocol" (ACK/NACK, resource_names, warming).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from google.protobuf.message import Message

from meshtest.lib.dataclass import dataclass
from meshtest_envoy.ads.descriptors import message_class, parse
from meshtest_envoy.xds.names import TYPE_URL

CLUSTER = TYPE_URL + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE_URL + "envoy.config.endpoint.v3.ClusterLoadAssignment"
FILTERS = TYPE_URL + "envoy.config.core.v3.TypedExtensionConfig"
LISTENER = TYPE_URL + "envoy.config.listener.v3.Listener"
ROUTES = TYPE_URL + "envoy.config.route.v3.RouteConfiguration"
SECRET = TYPE_URL + "envoy.extensions.transport_sockets.tls.v3.Secret"

WHOLE = frozenset({CLUSTER, LISTENER})
"""Types whose responses must always hold every resource; of the others a response may hold only what changed."""

Versions = dict[str, int]


@dataclass
class Resource:
    """One resource as it is to be: the JSON it was made from, the message to send, its version."""

    json: Mapping[str, Any]
    message: Message
    version: int


@dataclass
class Subscription:
    """One type: what is to be, what Envoy asked for, what it has acknowledged."""

    resources: dict[str, Resource] = field(default_factory=dict)
    wanted: frozenset[str] | None = None
    """None until Envoy has asked; for WHOLE types an empty set then means all."""
    version: int = 0
    delivered: Versions = field(default_factory=dict)
    """What Envoy was last sent, accepted or not: a refused resource is not sent again until it changes."""
    in_flight: dict[str, Versions] = field(default_factory=dict)
    """By nonce, what that response held."""
    acked: Versions = field(default_factory=dict)
    rejection: str | None = None
    answered: bool = False
    """Envoy asks for listeners only once it has had clusters, be it none."""


class Stream:
    """The state of one Envoy. Not thread-safe: the server guards it."""

    def __init__(self) -> None:
        self._types: dict[str, Subscription] = {}
        self._nonce = 0

    def subscription(self, type_url: str) -> Subscription:
        return self._types.setdefault(type_url, Subscription())

    def put(self, type_url: str, resources: Mapping[str, Mapping[str, Any]], touch: Iterable[str] = ()) -> Versions:
        """Replace what is to be of one type; `touch` counts as changed too. Returns the versions now to be reached.

        Only changed resources are parsed. Raises ProviderError, with nothing changed, if one is malformed.
        """
        sub, touch = self.subscription(type_url), set(touch)
        old = sub.resources
        changed = [n for n, r in resources.items() if n not in old or old[n].json != r]
        parsed = {n: parse(resources[n]) for n in changed}
        if changed or touch or old.keys() - resources.keys():
            sub.version += 1
        new = {n: Resource(resources[n], parsed[n], sub.version) for n in changed}
        for name in touch & resources.keys() - new.keys():
            new[name] = Resource(old[name].json, old[name].message, sub.version)
        sub.resources = {n: new.get(n) or old[n] for n in resources}
        return {n: r.version for n, r in sub.resources.items()}

    def pending(self, type_url: str) -> Message | None:
        """The response that brings Envoy up to date, or None if it has been sent everything it asked for."""
        sub = self.subscription(type_url)
        if sub.wanted is None:
            return None
        whole = type_url in WHOLE
        visible = {n: r for n, r in sub.resources.items() if whole or n in sub.wanted}
        changed = {n: r for n, r in visible.items() if sub.delivered.get(n) != r.version}
        if not changed and not (whole and (not sub.answered or sub.delivered.keys() - visible.keys())):
            return None
        return self._response(type_url, visible if whole else changed)

    def _response(self, type_url: str, resources: Mapping[str, Resource]) -> Message:
        self._nonce += 1
        sub, nonce = self.subscription(type_url), str(self._nonce)
        versions = {n: r.version for n, r in resources.items()}
        sub.in_flight[nonce], sub.answered = versions, True
        sub.delivered = versions if type_url in WHOLE else sub.delivered | versions
        response: Message = message_class("envoy.service.discovery.v3.DiscoveryResponse")(
            version_info=str(sub.version),
            type_url=type_url,
            nonce=nonce,
            resources=[r.message for r in resources.values()],
        )
        return response

    def receive(self, request: Any) -> None:
        """Take in a DiscoveryRequest: a subscription, an ACK or a NACK."""
        sub = self.subscription(request.type_url)
        whole = request.type_url in WHOLE
        if (versions := sub.in_flight.pop(request.response_nonce, None)) is not None:
            if request.HasField("error_detail"):
                sub.rejection = request.error_detail.message
            else:
                sub.acked = versions if whole else sub.acked | versions
        sub.wanted = frozenset(request.resource_names)
        if not whole:
            # forget what Envoy dropped: if it asks again it must be sent again
            sub.acked = {n: v for n, v in sub.acked.items() if n in sub.wanted}
            sub.delivered = {n: v for n, v in sub.delivered.items() if n in sub.wanted}

    def reconnect(self) -> None:
        """Envoy came back on a new stream: it will ask for everything again."""
        for sub in self._types.values():
            sub.wanted, sub.acked, sub.delivered, sub.in_flight, sub.rejection = None, {}, {}, {}, None
            sub.answered = False

    def missing(self, type_url: str, goal: Versions) -> list[str]:
        """Names that have not been acknowledged at the goal's version yet."""
        sub = self.subscription(type_url)
        return [n for n, v in goal.items() if sub.acked.get(n, 0) < v]

    def unsubscribed(self, type_url: str) -> bool:
        return self.subscription(type_url).wanted is None

    def take_rejection(self, type_url: str) -> str | None:
        """Envoy's text for the last NACK of this type, once."""
        sub = self.subscription(type_url)
        rejection, sub.rejection = sub.rejection, None
        return rejection
