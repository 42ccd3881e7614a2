"""Whatever is wrong with a manifest: one clear error with file:line, or a mesh Envoy accepts; never a traceback.

What is accepted is explained, shifted and pushed as well, beside what it needs, so that routes lead somewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest import Mesh
from meshtest.errors import ManifestError, ProviderError, UsageError
from meshtest.explain import Asked, explain
from meshtest.explain.data import data
from meshtest.explain.text import lines
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.reader import read_text
from meshtest.manifests.traffic import TRAFFIC
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from meshtest.model.route import HeaderMatch, Match, StringMatch
from meshtest.model.topology import Topology, key
from meshtest.preflight import examine
from meshtest.preflight.plan import plan
from tests.fuzz.mutations import bundles, mutated, values

MORE = os.environ.get("MESHTEST_FUZZ")
"""How many to try, other ones each time; without it the same few, for the gate."""
EXAMPLES = int(MORE or 150)
PLACED = re.compile(r"^((fuzz|beside)\.yaml:\d+|<generated>:0): error: .+ \[[a-z0-9-]+\]$", re.S)
CANARY = Match(headers=(HeaderMatch(name="x-user", match=StringMatch(kind="exact", value="jason")),))
HOSTS = ["nobody", "", "*", "[::1]", "a b", "é.example", "http://reviews", "ftp://x", "x" * 300]
PATHS = ["/", "/reviews/1?x=1&x=2", "/%ZZ", "//", "x", "", "/é", "/*"]
HEADERS = [{}, {"x-user": "jason"}, {"Host": "x"}, {"": ""}, {"end-user": "é"}]


def test_broken_manifests_never_see_a_traceback(mesh: Mesh, corpora: Path) -> None:
    originals = bundles(corpora)
    mesh.open()
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=not MORE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(originals, values(originals)), st.randoms(use_true_random=False))
    def each(made: tuple[str, Documents], chance: Random) -> None:
        outcomes[outcome(mesh, *made, chance)] += 1

    each()
    sys.stdout.write(f"fuzz: {outcomes.total()} manifests, {dict(outcomes)}\n")
    assert outcomes["accepted"] > EXAMPLES * 0.4
    assert outcomes["refused"] > EXAMPLES * 0.1


def outcome(mesh: Mesh, text: str, beside: Documents, chance: Random) -> str:
    """`accepted` by Envoy, or `refused` with a place; anything else is the defect that is looked for."""
    try:
        documents = beside.apply(read_text(text, "fuzz.yaml"))
        looked_at(documents, beside)
        compiled = compile_or_raise(documents)
    except UsageError:
        return "refused"
    except ManifestError as error:
        for diagnostic in error.diagnostics:
            assert PLACED.match(str(diagnostic)), diagnostic
        return "refused"
    topology = compiled.topology
    asked(topology, chance)
    edited(documents, topology, chance)
    try:
        mesh.provider.apply(replace(topology, workloads=()))
    except (ManifestError, ProviderError) as error:
        # the proxy's own language, which the compiler does not know; but the line of the patch is told
        if not re.search(r"EnvoyFilter.*fuzz\.yaml:\d+|fuzz\.yaml:\d+: error: EnvoyFilter", str(error)):
            pytest.fail(f"Envoy had to say it: {error}\n{text}")
        return "refused"
    return "accepted"


def looked_at(documents: Documents, before: Documents) -> None:
    """The static rules and the plan take whatever can be read."""
    examine(documents, before, compile(documents).diagnostics)
    plan(before, documents)


def asked(topology: Topology, chance: Random) -> None:
    """An explanation of some request, or a word on why there is none."""
    hosts = [h for table in topology.tables for h in table.hosts] + [s.fqdn for s in topology.services] + HOSTS
    sources = ["", "ingress", "nobody", *(g.key for g in topology.gateways), *map(key, topology.workloads)]
    for _ in range(2):
        host = chance.choice(hosts) + chance.choice(("", "", ":80", ":x", ":99999"))
        headers = chance.choice(HEADERS)
        with contextlib.suppress(UsageError):
            request = Asked.of(host, chance.choice(("GET", "g t", "")), chance.choice(PATHS), headers)
            explained = explain(topology, chance.choice(sources), request)
            assert list(lines(explained))
            json.dumps(data(explained))


def edited(documents: Documents, topology: Topology, chance: Random) -> None:
    """A shift or a canary of some host gives documents that compile, or a word on why not."""
    host = chance.choice([s.fqdn for s in topology.services] or ["nobody"])
    names = {"v1": chance.choice((0, 50, -1)), chance.choice(("v2", "v3", "x")): 50}
    for edit in (
        lambda: TRAFFIC.set_weights(documents, topology, host, names),
        lambda: TRAFFIC.set_match(documents, topology, host, CANARY, "v1"),
    ):
        with contextlib.suppress(UsageError, ManifestError):
            made = edit()
            errors = [d for d in compile(made).diagnostics if d.severity is Severity.ERROR]
            assert errors == [], errors
