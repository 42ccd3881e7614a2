"""Whatever is wrong with a manifest: one clear error with file:line, or a mesh Envoy accepts; never a traceback."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest import Mesh
from meshtest.errors import ConfigRejected, ManifestError, UsageError
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.reader import read_text
from tests.fuzz.mutations import bundles, mutated

EXAMPLES = 2000
PLACED = re.compile(r"^(fuzz\.yaml:\d+|<generated>:0): error: .+ \[[a-z0-9-]+\]$", re.S)


def test_two_thousand_broken_manifests_never_see_a_traceback(mesh: Mesh, corpora: Path) -> None:
    originals = bundles(corpora)
    mesh.open()
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def each(data: st.DataObject) -> None:
        text = data.draw(mutated(originals))
        outcomes[outcome(mesh, text)] += 1

    each()
    sys.stdout.write(f"fuzz: {outcomes.total()} manifests, {dict(outcomes)}\n")
    assert outcomes["accepted"] > EXAMPLES / 10
    assert outcomes["refused"] > EXAMPLES / 10


def outcome(mesh: Mesh, text: str) -> str:
    """`accepted` by Envoy, or `refused` with a place; anything else is the defect that is looked for."""
    try:
        topology = compile_or_raise(read_text(text, "fuzz.yaml")).topology
    except UsageError:
        return "refused"
    except ManifestError as error:
        for diagnostic in error.diagnostics:
            assert PLACED.match(str(diagnostic)), diagnostic
        return "refused"
    try:
        mesh.provider.apply(replace(topology, workloads=()))
    except ConfigRejected as error:
        pytest.fail(f"Envoy had to say it: {error}\n{text}")
    return "accepted"
