"""The security filters of every inbound and gateway listener: installed from the start, configured by discovery (ECDS).

    listener: [jwt_authn | rbac deny | rbac allow | fault | cors | router]
                  ▲            ▲          ▲
                  └── one TypedExtensionConfig each, empty where no policy applies

Why discovery. A policy that changes must count for connections that are already open. A changed listener does not:
measured (Envoy 1.40), of 8 connections that a caller's proxy kept open each served one more request by the old filters,
in 5 of 5 changes; with discovery none did, and both take 15 ms from `apply` to being in force. Per-route
configuration by RDS would do for RBAC, but not for jwt_authn, whose providers stand in the filter itself, nor for
requests at a gateway that no route takes. An extension config reaches the next request of every connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshtest.manifests.istio_security.links import gateway_proxy
from meshtest.model.route import Door
from meshtest.model.security import Authorization, Proxy, applying
from meshtest.model.topology import Topology
from meshtest_envoy.xds import jwt, rbac
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import ADS, Json

RBAC_URL = TYPE_URL + "envoy.extensions.filters.http.rbac.v3.RBAC"
JWT_URL = TYPE_URL + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
EXTENSION_URL = TYPE_URL + "envoy.config.core.v3.TypedExtensionConfig"

PARTS = ((rbac.JWT, "", JWT_URL), (rbac.HTTP, "deny", RBAC_URL), (rbac.HTTP, "allow", RBAC_URL))
"""Filter name, its part, its configuration's type; in the order they stand (Istio: authn, then authz DENY, ALLOW)."""


def filter_name(kind: str, part: str, listener: str) -> str:
    """Unique in Envoy, for it names the resource too; what Istio calls the filter comes first (see `istio_name`)."""
    return "|".join(filter(None, (kind, part, listener)))


def istio_name(name: str) -> str:
    """The filter's name in Istio, by which an EnvoyFilter finds it."""
    return name.partition("|")[0]


def http_filters(listener: str) -> list[Json]:
    """The first HTTP filters of a listener that has policies."""
    return [
        {
            "name": filter_name(kind, part, listener),
            "config_discovery": {"config_source": ADS, "type_urls": [url]},
        }
        for kind, part, url in PARTS
    ]


def discovered(listeners: Iterable[Json]) -> frozenset[str]:
    """Names of the filters whose configuration some listener discovers."""
    chains = [chain for made in listeners for chain in made.get("filter_chains", ())]
    filters = [f for chain in chains for f in chain.get("filters", ())]
    of_http = [h for f in filters for h in f.get("typed_config", {}).get("http_filters", ())]
    return frozenset(h.get("name", "") for h in of_http if "config_discovery" in h)


def filter_configs(topology: Topology, proxy: Proxy, listener: str, port: int) -> Iterator[Json]:
    """What those filters do: one resource each."""
    authentications = applying(topology.authentications, proxy)
    authorizations = applying(topology.authorizations, proxy)
    made = {
        "": jwt.config(authentications, topology.services, edge=proxy.is_gateway),
        "deny": rbac.at_port(deny(authorizations), port),
        "allow": rbac.at_port(allow(authorizations), port),
    }
    for kind, part, url in PARTS:
        name = filter_name(kind, part, listener)
        yield {"@type": EXTENSION_URL, "name": name, "typed_config": {"@type": url, **made[part]}}


def deny(authorizations: tuple[Authorization, ...]) -> Json:
    """Action DENY, and CUSTOM with an authorizer that nobody configured, which denies too."""
    denying = [a for a in authorizations if a.action == "DENY"]
    result = rbac.config(denying, "DENY") if denying else {}
    for bad in rbac.custom([a for a in authorizations if a.action == "CUSTOM"]):
        rules = result.setdefault("rules", {"action": "DENY", "policies": {}})
        rules["policies"] = {**rules["policies"], **bad["rules"]["policies"]}
    return result


def allow(authorizations: tuple[Authorization, ...]) -> Json:
    allowing = [a for a in authorizations if a.action == "ALLOW"]
    return rbac.config(allowing, "ALLOW") if allowing else {}


def network_filters(topology: Topology, proxy: Proxy, port: int) -> list[Json]:
    """For the filter chain of a TCP port, before the TCP proxy."""
    return [rbac.at_port(f, port) for f in rbac.network_filters(applying(topology.authorizations, proxy))]


def door_proxy(topology: Topology, door: Door) -> Proxy:
    """The gateway that requests at this door come in by."""
    return gateway_proxy(door.address, [g for g in topology.gateways if g.address == door.address])
