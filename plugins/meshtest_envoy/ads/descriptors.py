"""Envoy's API in a descriptor pool of our own: resources are written as JSON and sent as protobuf.

A private pool, so that no other package's copy of the same files can clash with ours.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from meshtest.errors import ProviderError
from meshtest_envoy.xds.names import TYPE_URL

ROUTE_CONFIGURATION = TYPE_URL + "envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = TYPE_URL + "envoy.config.route.v3.VirtualHost"
LISTENER = TYPE_URL + "envoy.config.listener.v3.Listener"
MANAGER = TYPE_URL + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

SHARED = ("http_filters", "upgrade_configs", "http_protocol_options")
"""Fields of a connection manager that are the same for many; so is its tracing, but for the literal tags."""


@cache
def _files() -> FileDescriptorSet:
    file = files("meshtest_envoy.ads") / "xds.binpb.gz"
    if not file.is_file():
        raise ProviderError(
            "the Envoy API descriptors are missing from this installation; they are made when meshtest is built: "
            "run `pip install .` (or `pip install -e .`) in the checkout"
        )
    return FileDescriptorSet.FromString(gzip.decompress(file.read_bytes()))


@cache
def pool() -> DescriptorPool:
    """Loads in about 11 ms."""
    result = DescriptorPool()
    for proto in _files().file:
        result.AddSerializedFile(proto.SerializeToString())
    return result


def file_names() -> list[str]:
    """The .proto files there are."""
    return [proto.name for proto in _files().file]


@cache
def message_class(name: str) -> Any:
    """The class of a fully qualified message name, for example `envoy.config.cluster.v3.Cluster`."""
    return GetMessageClass(pool().FindMessageTypeByName(name))


def parse(resource: Mapping[str, Any]) -> Message:
    """A google.protobuf.Any from a JSON resource with `@type`; ProviderError names the wrong field."""
    packed: Any = message_class("google.protobuf.Any")()
    if resource["@type"] == ROUTE_CONFIGURATION:
        packed.Pack(_route_configuration(resource))
    elif resource["@type"] == LISTENER:
        packed.Pack(_listener(resource))
    else:
        _into(packed, resource)
    return cast(Message, packed)


def _route_configuration(resource: Mapping[str, Any]) -> Message:
    """Put together from parts. Callers share most virtual hosts, and a shift changes one: ParseDict takes about 0.5 ms
    for each, so what is known is not parsed again."""
    result: Any = message_class(ROUTE_CONFIGURATION.removeprefix(TYPE_URL))(name=resource["name"])
    rest = {k: v for k, v in resource.items() if k not in ("@type", "name", "virtual_hosts")}
    result.MergeFrom(_known(ROUTE_CONFIGURATION, json.dumps(rest)))
    result.virtual_hosts.extend(_known(VIRTUAL_HOST, json.dumps(host)) for host in resource["virtual_hosts"])
    return cast(Message, result)


def _listener(resource: Mapping[str, Any]) -> Message:
    """Put together from parts, for the same reason: proxies share filters, and where their spans go."""
    result: Any = message_class(LISTENER.removeprefix(TYPE_URL))()
    _into(result, {k: v for k, v in resource.items() if k not in ("@type", "filter_chains")})
    for chain in resource.get("filter_chains", ()):
        made = result.filter_chains.add()
        _into(made, {k: v for k, v in chain.items() if k != "filters"})
        for item in chain.get("filters", ()):
            config = item.get("typed_config", {})
            managed = config.get("@type") == MANAGER
            _into(added := made.filters.add(), {k: v for k, v in item.items() if k != "typed_config" or not managed})
            if managed:
                added.typed_config.Pack(_manager(config))
    return cast(Message, result)


def _manager(config: Mapping[str, Any]) -> Message:
    shared: list[Mapping[str, Any]] = [{k: v for k, v in config.items() if k in SHARED}]
    own = {k: v for k, v in config.items() if k not in shared[0] and k != "@type"}
    if tracing := own.get("tracing"):
        tags = tracing.get("custom_tags", [])
        shared.append({"tracing": {**tracing, "custom_tags": [tag for tag in tags if "literal" not in tag]}})
        own["tracing"] = {"custom_tags": [tag for tag in tags if "literal" in tag]}
    result: Any = message_class(MANAGER.removeprefix(TYPE_URL))()
    _into(result, own)
    for part in shared:
        result.MergeFrom(_known(MANAGER, json.dumps(part)))
    return cast(Message, result)


@lru_cache(maxsize=4096)
def _known(type_url: str, text: str) -> Message:
    result: Message = message_class(type_url.removeprefix(TYPE_URL))()
    _into(result, json.loads(text))
    return result


def _into(message: Message, content: Mapping[str, Any]) -> None:
    try:
        json_format.ParseDict(dict(content), message, descriptor_pool=pool())
    except json_format.ParseError as error:
        raise ProviderError(f"not a valid Envoy resource: {error}") from error
