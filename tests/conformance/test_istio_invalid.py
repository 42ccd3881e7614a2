"""Istio's own documents for its schemas: those with `_err` are refused, with that reason; the others are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.reader import documents_of
from meshtest.preflight.schema import violations
from tests.conformance.misses import known, tell

CORPUS = "istio/invalid"


def cases(corpora: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each document, read one by one: a text that is no YAML for us spoils no other."""
    for path in sorted((corpora / CORPUS).glob("*.yaml")):
        for number, text in enumerate(re.split(r"(?m)^---\s*$", path.read_text()), start=1):
            if re.search(r"(?m)^kind:", text):
                yield f"{path.stem} {number}", text


def wrong(text: str) -> str:
    """What is not as it should be; "" when all is."""
    try:
        (document,) = documents_of(text, "<corpus>")
    except ManifestError as error:
        return str(error)
    reason = str(document.data.get("_err", ""))
    found = [message for _, message in violations(document.kind, document.data)]
    if reason and not any(reason in message for message in found):
        return f"not refused for {reason!r} but {found or 'accepted'}"
    return f"refused: {found}" if found and not reason else ""


def test_istio_invalid(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = list(cases(corpora))
    failed = {name: why for name, text in everything if (why := wrong(text))}
    with capsys.disabled():
        tell("istio invalid", len(everything) - len(failed), len(everything))
    listed = known(CORPUS)
    assert {name: why for name, why in failed.items() if name not in listed} == {}, "not listed in misses.toml"
    assert listed.keys() - failed.keys() == set(), "listed as missed, and passed (or is no case)"
