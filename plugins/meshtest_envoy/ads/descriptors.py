"""Envoy's API in a descriptor pool of our own: resources are written as JSON and sent as protobuf.

A private pool, so that no other package's copy of the same files can clash with ours.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
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
ACCESS_LOG = "envoy.config.accesslog.v3.AccessLog"
ACCESS_LOG_FILTER = "envoy.config.accesslog.v3.AccessLogFilter"
STATS_LOGGER = "envoy.access_loggers.stats"
STATS_CONFIG = "envoy.extensions.access_loggers.stats.v3.Config"
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
    """Put together from parts, too: proxies share filters, and where their spans go; and ParseDict takes 0.7 ms for the
    loggers that count, more than for all the rest."""
    result: Any = message_class(LISTENER.removeprefix(TYPE_URL))()
    _into(result, {k: v for k, v in resource.items() if k not in ("@type", "filter_chains")})
    for chain in resource.get("filter_chains", ()):
        made = result.filter_chains.add()
        _into(made, {k: v for k, v in chain.items() if k != "filters"})
        for item in chain.get("filters", ()):
            _filter_into(made.filters.add(), item)
    return cast(Message, result)


def _filter_into(made: Any, item: Mapping[str, Any]) -> None:
    config, loggers = _without_counting(item.get("typed_config", {}))
    managed = config.get("@type") == MANAGER
    if not managed and not loggers:
        return _into(made, item)
    _into(made, {k: v for k, v in item.items() if k != "typed_config"})
    parsed: Any = _manager(config) if managed else _typed(config)
    parsed.access_log.extend(map(_counting, loggers))
    made.typed_config.Pack(parsed)
    return None


def _without_counting(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[Any]]:
    """The configuration without its last loggers, so far as these are for stats; and those."""
    logs = config.get("access_log", ())
    kept = len(logs)
    while kept and logs[kept - 1]["name"] == STATS_LOGGER:
        kept -= 1
    return ({**config, "access_log": logs[:kept]}, logs[kept:]) if kept < len(logs) else (config, ())


def _typed(config: Mapping[str, Any]) -> Message:
    result: Message = message_class(config["@type"].removeprefix(TYPE_URL))()
    _into(result, {k: v for k, v in config.items() if k != "@type"})
    return result


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


def _counting(logger: Mapping[str, Any]) -> Message:
    made: Any = message_class(ACCESS_LOG)(name=logger["name"])
    if "filter" in logger:
        made.filter.CopyFrom(_known(TYPE_URL + ACCESS_LOG_FILTER, json.dumps(logger["filter"])))
    config = logger["typed_config"]
    try:
        parsed = message_class(STATS_CONFIG)(
            stat_prefix=config["stat_prefix"],
            counters=list(map(_counter, config.get("counters", ()))),
            histograms=config.get("histograms", ()),
        )
    except (KeyError, TypeError, ValueError):  # not as we write it: somebody has patched it
        parsed = _typed(config)
    made.typed_config.Pack(parsed)
    return cast(Message, made)


def _counter(counter: Mapping[str, Any]) -> Mapping[str, Any]:
    """JSON has a number where the message has a UInt64Value."""
    return {**counter, "value_fixed": {"value": counter["value_fixed"]}} if "value_fixed" in counter else counter


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
