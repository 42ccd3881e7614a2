"""What a webhook is sent: Flagger's CanaryWebhookPayload (pkg/apis/flagger/v1beta1/canary.go). Argo sends the same by a
template of ours.

Read as Go's encoding/json reads it, which Flagger's own load tester does: the case of keys does not matter, unknown
ones are passed over, null is nothing. Stricter in what nobody sends by honest means: a key that comes twice, text that
is not UTF-8, names that are none in Kubernetes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, NoReturn

from meshtest.lib.dataclass import dataclass
from meshtest.webhook.refusal import Refusal, shown

BAD = 400
OVER = frozenset({"Succeeded", "Failed"})
"""Phases in which no rollout is under way any more."""
BEFORE = OVER | {"Initialized", "Waiting"}
"""Phases in which the next rollout has not begun: the checksum is still that of the revision before."""

_FIELDS = {
    # DNS-1123 subdomain and label, as Kubernetes checks names (apimachinery, util/validation)
    "name": re.compile(r"(?=.{0,253}\Z)(?:[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?)?"),
    "namespace": re.compile(r"(?=.{0,63}\Z)(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)?"),
    "phase": re.compile(r"[A-Za-z]{0,40}"),
    "checksum": re.compile(r"[A-Za-z0-9._-]{0,128}"),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One call. It says neither which hook calls nor the weight."""

    name: str
    namespace: str
    phase: str = ""
    """`status.phase` of the Canary; rollout hooks are sent `Progressing` whatever it is."""
    checksum: str = ""
    """Of the revision, opaque. While confirm-rollout is asked it is still that of the revision before."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def canary(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def parse(body: bytes) -> Payload:
    """Refusal 400 with the reason if it is none."""
    found = _folded(_object(body))
    fields = {name: _text(name, found[name]) for name in _FIELDS if name in found}
    return payload(fields, _metadata(found.get("metadata")))


def payload(fields: Mapping[str, str], metadata: Mapping[str, str]) -> Payload:
    """From fields that are text already, as those of a query are."""
    for name, value in fields.items():
        if not _FIELDS[name].fullmatch(value):
            raise Refusal(BAD, f"{name}: {shown(value)} is none")
    return Payload(
        name=fields.get("name", ""),
        namespace=fields.get("namespace", ""),
        phase=fields.get("phase", ""),
        checksum=fields.get("checksum", ""),
        metadata=metadata,
    )


def canary_of(given: Payload) -> Payload:
    """The same, if it names a canary: a run belongs to one."""
    for name in ("name", "namespace"):
        if not getattr(given, name):
            raise Refusal(BAD, f"{name} not found in payload")
    return given


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise Refusal(BAD, "the body is empty; a JSON object with name and namespace was expected")
    try:
        found = _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise Refusal(BAD, "the body is not UTF-8") from None
    except RecursionError:
        raise Refusal(BAD, "the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Refusal(BAD, f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Refusal(BAD, "the body is not a JSON object")
    return found


def _number(text: str) -> float:
    """No field is a number, and making one of a million digits takes long."""
    return 0.0


def _no_constant(text: str) -> NoReturn:
    raise Refusal(BAD, f"the body is not JSON: {text} is no value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise Refusal(BAD, f"key {shown(next(n for n in names if names.count(n) > 1))} comes twice")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_number, parse_float=_number, parse_constant=_no_constant
)
"""Made once: json.loads would make one for each of the 500 gate checks a second."""


def _folded(found: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in lower case; two that differ in case only would be two values of one field."""
    folded = {name.lower(): value for name, value in found.items() if value is not None}
    names = [name.lower() for name in found]
    for name in (*_FIELDS, "metadata"):
        if names.count(name) > 1:
            raise Refusal(BAD, f"key {name!r} comes twice, in different case")
    return folded


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Refusal(BAD, f"{name} is not a string")
    return value


def _metadata(value: object) -> dict[str, str]:
    """Strings only, as of Go's map[string]string; null is an empty one there."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(BAD, "metadata is not an object")
    for name, one in value.items():
        if not isinstance(one, str | None):
            raise Refusal(BAD, f"metadata {shown(name)} is not a string")
        _fit(name, name)
        _fit(name, one or "")
    return {name: one or "" for name, one in value.items()}


def _fit(name: str, text: str) -> None:
    """It can be stored and printed."""
    if _CONTROL.search(text) or (not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text)):
        raise Refusal(BAD, f"metadata {shown(name)} holds signs that are no text")
