"""What an edit changed, as a unified diff of the YAML of each object: ready for `kubectl diff`'s readers."""

from __future__ import annotations

import difflib
from typing import Any

import yaml

from meshtest.model.document import Document, Documents

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def diff(before: Documents, after: Documents) -> str:
    """One section an object that differs; "" when none does."""
    old, new = ({d.key: d for d in documents} for documents in (before, after))
    return "".join(_section(old.get(key), new.get(key)) for key in {**old, **new})


def _section(old: Document | None, new: Document | None) -> str:
    if old is new or (old and new and old.data == new.data):
        return ""
    lines = difflib.unified_diff(_lines(old), _lines(new), _label(old), _label(new))
    return "".join(lines)


def _lines(document: Document | None) -> list[str]:
    return dump(document).splitlines(keepends=True) if document else []


def dump(document: Document) -> str:
    """The object as YAML, keys in the order the user chose."""
    text = yaml.dump(document.data, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, width=120)
    return str(text)


def _label(document: Document | None) -> str:
    if document is None:
        return "/dev/null"
    kind = document.data["kind"].lower()
    return f"{document.file} {kind}/{document.namespace}/{document.name}"
