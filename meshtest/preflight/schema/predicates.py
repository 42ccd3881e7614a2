"""The CEL rules of Istio's CRDs, one function each: what OpenAPI cannot say. With the messages of the CRDs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from meshtest.manifests.quantities import seconds

Rule = tuple[Callable[[Any], bool], str]


class Unreadable(ValueError):
    """The rule cannot be told of the value at all; the text says why."""


def at_most_one(*fields: str, say: str) -> Rule:
    """Of some fields of an object, one may be there."""
    return (lambda value: sum(field in value for field in fields) <= 1), say


def _millisecond(value: str) -> bool:
    length = seconds(value)
    return length is not None and length >= 1e-3


DURATION: Rule = (_millisecond, "must be a valid duration greater than 1ms")
NO_STAR_IN_KEY: Rule = (
    lambda value: not any("*" in key for key in value),
    "wildcard not allowed in label key match",
)
NO_EMPTY_KEY: Rule = (lambda value: all(value), "key must not be empty")
NO_STAR_IN_VALUE: Rule = (lambda value: "*" not in value, "wildcard not allowed in label value match")
NO_WILDCARD: Rule = (lambda value: "*" not in value, "wildcard is not supported in selector")
SAME_NAMESPACE: Rule = (lambda value: not value, "cross namespace referencing is not currently supported")
PORT: Rule = (lambda value: 0 < value <= 65535, "port must be between 1-65535")

# -- endpoints

ADDRESS_NEEDED: Rule = (lambda value: "address" in value or "network" in value, "Address is required")
SOCKET_WITHOUT_PORTS: Rule = (
    lambda value: not _socket(value.get("address")) or "ports" not in value,
    "UDS may not include ports",
)
SOCKET_ABSOLUTE: Rule = (
    lambda value: not _socket(value) or value[7:8] in ("/", "@"),
    "UDS must be an absolute path or abstract socket",
)
SOCKET_NO_FOLDER: Rule = (lambda value: not _socket(value) or not value.endswith("/"), "UDS may not be a dir")
_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
PORT_NAMES: Rule = (
    lambda value: all(len(name) < 63 and _PORT_NAME.fullmatch(name) for name in value),
    "port name must be valid",
)


def _socket(address: object) -> bool:
    return isinstance(address, str) and address.startswith("unix://")


# -- ServiceEntry


def _cidr_fits(value: Mapping[str, Any]) -> bool:
    networks = any("/" in str(address) for address in value.get("addresses") or ())
    return not networks or value.get("resolution", "NONE") in ("STATIC", "NONE")


CIDR_RESOLUTION: Rule = (_cidr_fits, "CIDR addresses are allowed only for NONE/STATIC resolution types")
NONE_WITHOUT_ENDPOINTS: Rule = (
    lambda value: value.get("resolution", "NONE") != "NONE" or "endpoints" not in value,
    "NONE mode cannot set endpoints",
)
ONE_ROUND_ROBIN_ENDPOINT: Rule = (
    lambda value: value.get("resolution") != "DNS_ROUND_ROBIN" or len(value.get("endpoints") or ()) <= 1,
    "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
)
NO_WILDCARD_HOST: Rule = (lambda value: value != "*", "hostname cannot be wildcard")


def _numbers_differ(value: Sequence[Any]) -> bool:
    numbers = [item.get("number") for item in value if isinstance(item, Mapping)]
    return len(numbers) == len(set(numbers))


PORTS_DIFFER: Rule = (_numbers_differ, "port number cannot be duplicated")

# -- security


def _sources_fit(value: Mapping[str, Any]) -> bool:
    accounts = "serviceAccounts" in value or "notServiceAccounts" in value
    return not accounts or not value.keys() & {"principals", "notPrincipals", "namespaces", "notNamespaces"}


ACCOUNTS_ALONE: Rule = (_sources_fit, "Cannot set serviceAccounts with namespaces or principals")


def _ports_selected(value: Mapping[str, Any]) -> bool:
    selector = value.get("selector")
    chosen = selector.get("matchLabels") if isinstance(selector, Mapping) else None
    return "portLevelMtls" not in value or bool(chosen)


PORTS_NEED_SELECTOR: Rule = (_ports_selected, "portLevelMtls requires selector")


def _port_keys(value: Mapping[str, Any]) -> bool:
    for key in value:
        if not re.fullmatch(r"[+-]?\d+", key):
            raise Unreadable(f"rule evaluation error: type conversion error from 'string' to 'int': `{key}`")
    return all(0 < int(key) <= 65535 for key in value)


PORT_KEYS: Rule = (_port_keys, "port must be between 1-65535")


def _scheme(value: str) -> str:
    try:
        return urlsplit(value).scheme
    except ValueError:
        return ""


WEB_URL: Rule = (lambda value: _scheme(value) in ("http", "https"), "url must have scheme http:// or https://")

# -- EnvoyFilter, Telemetry, WasmPlugin

WAYPOINT_MATCH: Rule = (
    lambda value: (value.get("context") == "WAYPOINT") == ("waypoint" in value),
    "only support waypointMatch when context is WAYPOINT",
)
UPSERT_VALUE: Rule = (
    lambda value: value.get("operation") != "UPSERT" or bool(value.get("value")),
    "value must be set when operation is UPSERT",
)
REMOVE_VALUE: Rule = (
    lambda value: value.get("operation") != "REMOVE" or "value" not in value,
    "value must not be set when operation is REMOVE",
)
INLINE_VALUE: Rule = (
    lambda value: value.get("valueFrom") != "HOST" or "value" not in value,
    "value may only be set when valueFrom is INLINE",
)
_URL_TEXT = re.compile(r"[^\s#%]*(?:%[0-9A-Fa-f]{2}[^\s#%]*)*")


def _module_url(value: str) -> bool:
    """Without a scheme it is an image reference."""
    if not _URL_TEXT.fullmatch(value):
        return False
    scheme = _scheme(value) if "://" in value else ""
    return scheme in ("", "http", "https", "file", "oci")


MODULE_URL: Rule = (_module_url, "url must have schema one of [http, https, file, oci]")
SCHEME: Rule = (lambda value: value in ("", "HTTP", "HTTPS"), "scheme must be one of [HTTP, HTTPS]")
