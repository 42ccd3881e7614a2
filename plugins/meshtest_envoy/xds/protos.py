"""Envoy's messages for those who edit resources: checked against the API, merged as protobuf merges them.

Resources are JSON with the field names of the .proto files; what a user writes may also be in lowerCamelCase, or
wrapped in a TypedStruct, and becomes the same. Merging is Istio's (pilot/pkg/networking/core/envoyfilter): lists grow,
messages merge, an entry of a map is replaced, a typed_config of the same type merges inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from meshtest.lib.words import nearest
from meshtest_envoy.ads.descriptors import file_names, message_class, pool
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import Json

TYPED_STRUCTS = tuple(f"{TYPE_URL}{package}.TypedStruct" for package in ("udpa.type.v1", "xds.type.v3"))
ANY = "google.protobuf.Any"
ATOMS = ("google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.Struct")
"""Messages that are one value: replaced, never merged."""


class NotEnvoysError(ValueError):
    """Not a message of Envoy's API."""


def canonical(name: str, value: Any) -> Json:
    """The JSON of a message with the field names of its .proto file. Raises NotEnvoysError, saying what is wrong."""
    return to_json(read(name, value))


def read(name: str, value: Any) -> Message:
    value = unwrapped(value)
    for url in types(value):
        check_type(url)
    message: Message = message_class(name)()
    try:
        json_format.ParseDict({k: v for k, v in value.items() if k != "@type"}, message, descriptor_pool=pool())
    except (json_format.ParseError, TypeError, AttributeError, ValueError) as error:
        raise NotEnvoysError(innermost(error)) from None
    return message


def to_json(message: Message) -> Json:
    made: Json = json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool())
    return made


def innermost(error: BaseException) -> str:
    """protobuf wraps each level's complaint into the next one's; the first says it all."""
    return str(error).rpartition("Failed to parse ")[2] or str(error)


def unwrapped(value: Any) -> Any:
    """TypedStructs, which Istio's documentation uses, as what they stand for."""
    if isinstance(value, list):
        return [unwrapped(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("@type") in TYPED_STRUCTS:
        inner = value.get("value") or {}
        url = value.get("type_url") or value.get("typeUrl") or ""
        return unwrapped({"@type": url, **inner})
    return {key: unwrapped(item) for key, item in value.items()}


def types(value: Any) -> Iterator[str]:
    """Every `@type` in a value."""
    if isinstance(value, dict):
        if "@type" in value:
            yield str(value["@type"])
        for item in value.values():
            yield from types(item)
    elif isinstance(value, list):
        for item in value:
            yield from types(item)


def check_type(url: str) -> None:
    name = url.rpartition("/")[2]
    try:
        pool().FindMessageTypeByName(name)
    except KeyError:
        kind = "network" if ".network." in name else "http"
        close = nearest(name, messages(kind))
        hint = f"did you mean {TYPE_URL}{close}?" if close else f"known {kind} filters: {', '.join(filters(kind))}"
        raise NotEnvoysError(f"unknown @type {url!r}; {hint}") from None


@cache
def filters(kind: str) -> tuple[str, ...]:
    """Filters that can be configured, by the name of their package."""
    prefix = f"envoy/extensions/filters/{kind}/"
    return tuple(sorted({name.removeprefix(prefix).split("/")[0] for name in file_names() if name.startswith(prefix)}))


@cache
def messages(kind: str) -> tuple[str, ...]:
    """The messages of those packages."""
    prefix = f"envoy/extensions/filters/{kind}/"
    files = [pool().FindFileByName(name) for name in file_names() if name.startswith(prefix)]
    return tuple(f"{file.package}.{message}" for file in files for message in file.message_types_by_name)


# -- merging


def merged(name: str, base: Json, value: Json, *, replace_lists: bool = False) -> Json:
    """`base` with what `value` says laid over it."""
    result = read(name, base)
    merge(result, read(name, value), replace_lists=replace_lists)
    at = {"@type": base["@type"]} if "@type" in base else {}
    return at | to_json(result)


def merge(base: Message, patch: Message, *, replace_lists: bool) -> None:
    for field, value in patch.ListFields():
        if is_map(field):
            _merge_map(getattr(base, field.name), value, field)
        elif field.is_repeated:
            if replace_lists:
                base.ClearField(field.name)
            getattr(base, field.name).extend(value)
        elif field.message_type is None:
            setattr(base, field.name, value)
        else:
            _merge_message(getattr(base, field.name), value, replace_lists=replace_lists)


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry)


def _merge_map(base: Any, patch: Any, field: FieldDescriptor) -> None:
    assert field.message_type is not None
    for key, value in patch.items():
        if field.message_type.fields_by_name["value"].message_type is None:
            base[key] = value
        else:
            base[key].CopyFrom(value)


def _merge_message(base: Message, value: Any, *, replace_lists: bool) -> None:
    name = value.DESCRIPTOR.full_name
    if name == ANY and getattr(base, "type_url", "") == value.type_url:
        inner, over = _unpacked(base), _unpacked(value)
        merge(inner, over, replace_lists=replace_lists)
        base.value = inner.SerializeToString(deterministic=True)  # type: ignore[attr-defined]
    elif name == ANY or name in ATOMS:
        base.CopyFrom(value)
    else:
        base.SetInParent()
        merge(base, value, replace_lists=replace_lists)


def _unpacked(packed: Any) -> Message:
    message: Message = message_class(packed.type_url.rpartition("/")[2])()
    message.ParseFromString(packed.value)
    return message
