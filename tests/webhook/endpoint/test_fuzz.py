"""A few hundred requests that nobody means, made by hypothesis: a right status, one line, no traceback, nothing begun.

10,000 more, from the description of the routes, against a served process: `python -m tests.bench fuzz_webhook`.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest.webhook.openapi import TYPES
from meshtest.webhook.routes import ROUTES
from meshtest.webhook.runs import RunState
from tests.webhook.endpoint.site import Site

EXAMPLES = 200
PATHS = [route.path for route in ROUTES if route.path != "/readyz"]
WORDS = st.one_of(
    st.sampled_from(["smoke", "strict", "x", "..", "%00", "a/b", "\0", "é", *TYPES]), st.text(max_size=20)
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "BREW"])
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
JSON = st.one_of(PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.text(max_size=8), PLAIN, max_size=3))
KEYS = st.sampled_from(["name", "namespace", "phase", "checksum", "metadata", "Name", "unknown"])
VALUES = st.one_of(JSON, st.sampled_from(["web", "shop", "Progressing", "Succeeded", "c2", "", {"target": "http://x"}]))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(KEYS, VALUES, max_size=6).map(lambda found: json.dumps(found).encode()),
)
QUERIES = st.one_of(
    st.just(""), st.text(max_size=20), st.sampled_from(["wait=0", "wait=x", "wait=0&wait=0", "again=1"])
)
HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "content-type", "content-length", "origin", "user-agent", "accept"]),
    st.text(st.characters(max_codepoint=255), max_size=30),
    max_size=3,
)
ANSWERS = {200, 202, 400, 401, 403, 404, 405, 409, 412, 413, 429}


@given(
    path=st.sampled_from(PATHS), words=st.lists(WORDS, min_size=3, max_size=3), method=METHODS, body=BODIES,
    query=QUERIES, headers=HEADERS,
)  # fmt: skip
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_request_has_its_answer(
    site: Site, path: str, words: list[str], method: str, body: bytes, query: str, headers: dict[str, str]
) -> None:
    for name, word in zip(("{type}", "{suite}", "{path:path}"), words, strict=True):
        path = path.replace(name, word)
    known = site.store.runs()
    path = path.replace("{id}", known[-1].id if known else "x").replace("?", "")
    query = "".join(sign for sign in query if sign.isascii())
    answer = site.ask(method, f"{path}?{query}", body, headers)
    assert answer.status in ANSWERS
    assert "Traceback" not in answer.text
    if answer.status >= 400 and method != "HEAD":
        assert answer.line
        assert answer.text.count("\n") <= 2, "a reason, and perhaps where more is"
    assert all(run.key.suite in site.endpoint.suites for run in site.store.runs())


@given(fields=st.dictionaries(KEYS, JSON, max_size=6))
@settings(max_examples=100, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_what_is_accepted_names_a_canary_and_a_revision(site: Site, fields: dict[str, Any]) -> None:
    before = len(site.store.runs())
    answer = site.ask("POST", "/hooks/pre-rollout/smoke", json.dumps(fields).encode())
    if answer.status == 202:
        assert all(site.run().key)
        assert site.run().state is RunState.QUEUED
    else:
        assert 400 <= answer.status < 500
        assert len(site.store.runs()) == before
