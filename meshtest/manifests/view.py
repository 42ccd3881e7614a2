"""A cursor over one mapping of a document: typed reading, with each complaint at its file:line.

Opening a view checks the keys against its field table; a getter checks the type of one value. Nothing raises: what is
wrong becomes a diagnostic and reads as absent, so that one pass finds all errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from meshtest.lib.regex import refusal
from meshtest.lib.words import listed, nearest
from meshtest.manifests.fields import Fields
from meshtest.manifests.quantities import is_percent, seconds
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Document, Path

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What no name, host, path or header may contain."""

EMPTY: Mapping[str, Any] = {}
ZERO: tuple[Any, ...] = (False, 0, "", [], {})
"""Values that ask for nothing: what `kubectl get -o yaml` writes for a field that was never set."""


def shown(path: Path) -> str:
    """`spec.http[0].match`; a key that is no word stands in brackets: `headers["x-user"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


class View:
    """One mapping, its path and its field table. Views of one document share the list of diagnostics."""

    __slots__ = ("data", "document", "fields", "notes", "path")

    def __init__(self, document: Document, path: Path, data: Any, fields: Fields, notes: list[Diagnostic]) -> None:
        self.document = document
        self.path = path
        self.fields = fields
        self.notes = notes
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else EMPTY
        if data is not self.data:
            self._wrong("a mapping", data)
        self._check_keys()

    @classmethod
    def of(cls, document: Document, fields: Fields, notes: list[Diagnostic]) -> View:
        """The whole document."""
        return cls(document, (), document.data, fields, notes)

    # -- what there is to say

    def source(self, *below: str | int) -> Source:
        return self.document.where(*self.path, *below)

    def name(self, *below: str | int) -> str:
        """The full path in backquotes, as messages show it."""
        return f"`{shown((*self.path, *below))}`"

    def note(self, severity: Severity, code: str, message: str, *below: str | int) -> None:
        self.notes.append(Diagnostic(severity, code, message, self.source(*below)))

    def error(self, code: str, message: str, *below: str | int) -> None:
        self.note(Severity.ERROR, code, message, *below)

    def warn(self, code: str, message: str, *below: str | int) -> None:
        self.note(Severity.WARNING, code, message, *below)

    def not_supported(self, reason: str, *below: str | int) -> None:
        self.warn("not-supported", f"{self.name(*below)} is not supported: {reason}", *below)

    def _check_keys(self) -> None:
        fields = self.fields
        for key, value in self.data.items():
            if key in fields.read or value is None:
                continue
            if key in fields.unsupported:
                if value in ZERO:
                    continue
                self.not_supported(fields.unsupported[key], key)
            elif key in fields.unused:
                self.note(Severity.INFO, "unused", f"{self.name(key)} has no effect here", key)
            else:
                self._unknown(key)

    def _unknown(self, key: str) -> None:
        close = nearest(key, self.fields.known)
        hint = f"did you mean `{close}`?" if close else f"known here: {listed(self.fields.known, most=12)}"
        self.error("unknown-field", f"unknown field {self.name(key)}; {hint}", key)

    def _wrong(self, wanted: str, value: Any, *below: str | int) -> None:
        kinds: dict[type, str] = {dict: "a mapping", list: "a list", type(None): "null"}
        got = kinds.get(type(value)) or repr(value)
        where = self.name(*below) if self.path or below else "the document"
        self.error("wrong-type", f"{where} must be {wanted}, not {got}", *below)

    # -- reading

    def __contains__(self, key: str) -> bool:
        """The user wrote it (null counts as absent, as in Kubernetes)."""
        return self.data.get(key) is not None

    def _get(self, key: str) -> Any:
        assert key in self.fields.read, f"{key} is missing in the field table of {shown(self.path)}"
        return self.data.get(key)

    def require(self, key: str) -> bool:
        """An error if the field is absent."""
        if key in self:
            return True
        self.error("missing-field", f"{self.name(key)} is required")
        return False

    def string(self, key: str, default: str = "") -> str:
        value = self.text(key, default)
        if CONTROL.search(value):
            self.error("bad-value", f"{self.name(key)} has a control character: {value!r}", key)
            return default
        return value

    def text(self, key: str, default: str = "") -> str:
        """A string of any number of lines."""
        value = self._get(key)
        if value is None or isinstance(value, str):
            return default if value is None else value
        self._wrong("a string", value, key)
        return default

    def regex(self, key: str) -> str:
        """A regular expression that Envoy accepts."""
        value = self.string(key)
        if value and (text := refusal(value)):
            self.error("bad-value", f"Envoy refuses the regular expression {value!r}: {text} (RE2 syntax)", key)
            return ""
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self.string(key)
        if not value:
            return default
        if value in allowed:
            return value
        close = nearest(value, allowed)
        hint = f"; did you mean {str(close)!r}?" if close else ""  # words of an enum, too
        self.error("bad-value", f"{self.name(key)} must be one of {listed(allowed)}, not {value!r}{hint}", key)
        return default

    def integer(self, key: str, *, least: int | None = None, most: int | None = None) -> int | None:
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong("an integer", value, key)
            return None
        return value if self._within(key, value, least, most) else None

    def number(self, key: str, *, least: float | None = None, most: float | None = None) -> float | None:
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong("a number", value, key)
            return None
        return float(value) if self._within(key, value, least, most) else None

    def _within(self, key: str, value: float, least: float | None, most: float | None) -> bool:
        if (least is None or value >= least) and (most is None or value <= most):
            return True
        wanted = f"at least {least:g}" if most is None else f"{least or 0:g} to {most:g}"
        self.error("bad-value", f"{self.name(key)} must be {wanted}, not {value:g}", key)
        return False

    def port(self, key: str) -> int | None:
        return self.integer(key, least=1, most=65535)

    def boolean(self, key: str) -> bool | None:
        value = self._get(key)
        if value is None or isinstance(value, bool):
            return value
        self._wrong("true or false", value, key)
        return None

    def duration(self, key: str) -> float | None:
        """Seconds of `7s`, `1m30s`, `250ms`."""
        value = self._get(key)
        if value is None:
            return None
        found = seconds(value) if isinstance(value, str) else None
        if found is None:
            self._wrong('a duration like "7s", "1m30s" or "250ms"', value, key)
        return found

    def int_or_percent(self, key: str, default: int | str) -> int | str:
        """`1` or `25%`"""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and is_percent(value))):
            self._wrong('an integer or a percentage like "25%"', value, key)
            return default
        return value

    def int_or_name(self, key: str, default: int | str) -> int | str:
        """A port by number or by name."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | str):
            self._wrong("a port number or a port name", value, key)
            return default
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self._wrong("a list of strings", value, key)
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self._wrong("a string", item, key, index)
        return tuple(item for item in value if isinstance(item, str))

    def integers(self, key: str) -> tuple[int, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self._wrong("a list of integers", value, key)
            return ()
        wrong = [index for index, item in enumerate(value) if isinstance(item, bool) or not isinstance(item, int)]
        for index in wrong:
            self._wrong("an integer", value[index], key, index)
        return () if wrong else tuple(value)

    def header_map(self, key: str) -> dict[str, str]:
        """Header fields by name: one line each."""
        found = self.string_map(key)
        for name, value in found.items():
            if CONTROL.search(name + value):
                self.error("bad-value", f"{self.name(key)} has a control character: {name!r}: {value!r}", key, name)
        return {name: value for name, value in found.items() if not CONTROL.search(name + value)}

    def string_map(self, key: str) -> dict[str, str]:
        """Labels, annotations, headers: strings by name."""
        found = self.free(key)
        for name, item in found.items():
            if not isinstance(item, str):
                self._wrong("a string (write it in quotes)", item, key, name)
        return {name: item for name, item in found.items() if isinstance(item, str)}

    def free(self, key: str) -> dict[str, Any]:
        """A mapping whose keys are the user's own and whose values the caller checks."""
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong("a mapping", value, key)
            return {}
        return {str(name): item for name, item in value.items()}

    def items(self, key: str) -> list[Any]:
        """A list whose items the caller checks."""
        value = self._get(key)
        if value is None or isinstance(value, list):
            return value or []
        self._wrong("a list", value, key)
        return []

    # -- going down

    def child(self, key: str) -> View | None:
        """The mapping at the key, or None when it is absent."""
        value = self._get(key)
        return None if value is None else self._below(value, key)

    def children(self, key: str) -> list[View]:
        """The mappings of a list."""
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong("a list", value, key)
            return []
        return [self._below(item, key, index) for index, item in enumerate(value)]

    def named(self, key: str) -> dict[str, View]:
        """The mappings of a map, by name."""
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong("a mapping", value, key)
            return {}
        return {name: self._below({} if item is None else item, key, name) for name, item in value.items()}

    def _below(self, value: Any, key: str, *rest: str | int) -> View:
        fields = self.fields.read[key]
        assert fields is not None, f"{key} has no field table below {shown(self.path)}"
        return View(self.document, (*self.path, key, *rest), value, fields, self.notes)


def metadata(view: View) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations of an object or of a pod template."""
    below = view.child("metadata")
    return (below.string_map("labels"), below.string_map("annotations")) if below is not None else ({}, {})
