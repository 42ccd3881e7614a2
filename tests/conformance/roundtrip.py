"""One request to a proxy, and the comparison of what came back with what a case expects.

The rules are those of upstream's CompareRoundTrip (conformance/utils/http/http.go), none left out.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from meshtest.spi.provider import Entrance
from tests.conformance.cases import Case

REDIRECTS = (301, 302, 303, 307, 308)
TIMEOUTS = (504, 408)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Lower case; repeated ones joined."""
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What the stand-in tells of the request as it arrived; {} when no stand-in answered."""

    @property
    def pod(self) -> str:
        """Without the namespace that our pods carry in front."""
        return str(self.seen.get("pod", "")).removeprefix(f"{self.seen.get('namespace', '')}.")


class Client:
    """Connections that stay open, one an entrance."""

    def __init__(self) -> None:
        self._open: dict[Entrance, http.client.HTTPConnection] = {}

    def ask(self, entrance: Entrance, method: str, host: str, path: str, headers: Mapping[str, str]) -> Answer:
        connection = self._open.get(entrance)
        if connection is None:
            connection = self._open[entrance] = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
        target = f"http://{host}{path}" if entrance.proxy else path
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            found[name] = f"{found[name]},{value}" if name in found else value
        return Answer(status=response.status, headers=found, seen=_seen(body))

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


def _seen(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and "pod" in told else {}


def problems(case: Case, answer: Answer) -> Iterator[str]:
    """What is not as expected; nothing at all if the case has passed."""
    if answer.status in TIMEOUTS and set(TIMEOUTS) & set(case.statuses):
        return
    if answer.status not in case.statuses:
        yield f"status {answer.status}, expected {case.statuses}"
    elif answer.status in (200, 204):
        if not case.in_mesh:
            yield from _request_problems(case, answer)
        yield from _arrived_problems(case, answer)
        yield from _response_problems(case, answer)
    elif answer.status in REDIRECTS and case.expected.get("RedirectRequest"):
        yield from _redirect_problems(case, answer)


def _request_problems(case: Case, answer: Answer) -> Iterator[str]:
    """The request as it arrived is the one that was sent, unless the case says otherwise."""
    told, sent = case.expected.get("ExpectedRequest"), case.expected.get("Request") or {}
    wanted, seen = sent if told is None else told.get("Request") or {}, answer.seen
    pairs = [("path", seen.get("path", ""), wanted.get("Path", "") or ("" if told else case.path))]
    pairs.append(("method", seen.get("method", case.method), wanted.get("Method") or "GET"))
    pairs.append(("namespace", seen.get("namespace", ""), case.expected.get("Namespace", "")))
    if wanted.get("Host"):
        pairs.append(("host", seen.get("host", ""), wanted["Host"]))
    yield from (f"{what} {got!r}, expected {want!r}" for what, got, want in pairs if got != want)


def _arrived_problems(case: Case, answer: Answer) -> Iterator[str]:
    """Headers that arrived, and where. Upstream's comparison for the mesh (echo/pod.go, compareRequest) is this one."""
    told = case.expected.get("ExpectedRequest")
    sent = {} if case.in_mesh else case.expected.get("Request") or {}
    wanted = sent if told is None else told.get("Request") or {}
    arrived = answer.seen.get("headers", {})
    for name, value in (wanted.get("Headers") or {}).items():
        if _joined(arrived.get(name.lower())) != _joined(value):
            yield f"request header {name}: {arrived.get(name.lower())!r}, expected {value!r}"
    for name in (told or {}).get("AbsentHeaders") or ():
        if name.lower() in arrived:
            yield f"request header {name} should be absent: {arrived[name.lower()]!r}"
    if not answer.pod.startswith(case.expected.get("Backend", "")):
        yield f"pod {answer.pod!r}, expected {case.expected['Backend']!r}"


def _response_problems(case: Case, answer: Answer) -> Iterator[str]:
    response = case.expected.get("Response") or {}
    blanks = bool(response.get("IgnoreWhitespace"))
    allowed = {name: [value] for name, value in (response.get("Headers") or {}).items()}
    allowed |= response.get("ValidHeaderValues") or {}
    for name, values in allowed.items():
        got = answer.headers.get(name.lower())
        if _joined(got, blanks=blanks) not in [_joined(value, blanks=blanks) for value in values]:
            yield f"response header {name}: {got!r}, expected one of {values}"
    for name in response.get("AbsentHeaders") or ():
        if name.lower() in answer.headers:
            yield f"response header {name} should be absent: {answer.headers[name.lower()]!r}"


def _joined(value: str | None, *, blanks: bool = False) -> str | None:
    """Values of one header as Go joins them: our stand-in and Envoy may write a blank after the comma."""
    if value is None:
        return None
    return value.replace(" ", "") if blanks else ",".join(part.strip() for part in value.split(","))


def _redirect_problems(case: Case, answer: Answer) -> Iterator[str]:
    wanted, got = case.expected["RedirectRequest"], urlsplit(answer.headers.get("location", ""))
    scheme = "https" if case.entrance.endswith("/443") else "http"
    host, port = got.hostname or "", str(got.port or "")
    if wanted.get("Host") and host != wanted["Host"]:
        yield f"redirected to host {host!r}, expected {wanted['Host']!r}"
    own = {"http": "80", "https": "443"}.get(got.scheme, "")
    if wanted.get("Port", "") != port and not (not wanted.get("Port") and port in (own, "")):
        yield f"redirected to port {port!r}, expected {wanted.get('Port') or own!r}"
    if got.scheme != (wanted.get("Scheme") or scheme):
        yield f"redirected to scheme {got.scheme!r}, expected {wanted.get('Scheme') or scheme!r}"
    path = wanted.get("Path") or case.path.partition("?")[0]
    if got.path != path:
        yield f"redirected to path {got.path!r}, expected {path!r}"
