"""HTTP to a Prometheus: questions, answers, its errors in its own words; and who we are, if it wants to know."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from meshtest.errors import ProviderError, UsageError

TIMEOUT = 5.0
"""Seconds for an answer; Flagger's client waits as long."""
_PARSE_ERROR = re.compile(r'(?:invalid parameter "query": )?1:(\d+): (parse error: .*)', re.DOTALL)


class Credentials(NamedTuple):
    """The value of the header `Authorization`, or "". Never printed."""

    header: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Credentials:
        """From the environment, the token before user and password."""
        token, user = environ.get("MESHTEST_PROMETHEUS_TOKEN"), environ.get("MESHTEST_PROMETHEUS_USER")
        if token:
            return cls(f"Bearer {token}")
        if not user:
            return cls()
        both = f"{user}:{environ.get('MESHTEST_PROMETHEUS_PASSWORD', '')}"
        return cls("Basic " + base64.b64encode(both.encode()).decode())

    def __repr__(self) -> str:
        return "Credentials(...)" if self.header else "Credentials()"


NOBODY = Credentials()


class Client:
    """Not a session: each request has a connection of its own, so any thread may ask at any time."""

    def __init__(self, url: str, credentials: Credentials = NOBODY, *, ca: str = "", timeout: float = TIMEOUT) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise UsageError(
                f"the URL of Prometheus at {parts.hostname} has credentials in it, and settings are printed: "
                "put them into MESHTEST_PROMETHEUS_USER and MESHTEST_PROMETHEUS_PASSWORD"
            )
        if not parts.hostname:
            raise UsageError(f"{url!r} is no URL of a Prometheus; write http://HOST:PORT")
        self.url = url.rstrip("/")
        self._parts, self._credentials, self._ca, self._timeout = parts, credentials, ca, timeout

    def get(self, what: str, **parameters: Any) -> Any:
        """`data` of `/api/v1/WHAT`; parameters that are lists are repeated."""
        status, body = self.request("GET", f"/api/v1/{what}?{urlencode(parameters, doseq=True, quote_via=quote)}")
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        if status == 200 and answer.get("status") == "success":
            return answer["data"]
        raise self._error(status, answer, body, str(parameters.get("query", "")))

    def request(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body; ProviderError if there is no answer."""
        given = dict(headers or {})
        if self._credentials.header:
            given["Authorization"] = self._credentials.header
        connection = self._connection()
        try:
            connection.request(method, self._parts.path.rstrip("/") + target, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProviderError(f"Prometheus at {self.url} does not answer: {_said(error)}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme != "https":
            return http.client.HTTPConnection(host, self._parts.port, timeout=self._timeout)
        import ssl  # only a Prometheus elsewhere needs it

        try:
            context = ssl.create_default_context(cafile=self._ca or None)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"setting prometheus_ca: cannot read {self._ca}: {_said(error)}") from None
        return http.client.HTTPSConnection(host, self._parts.port, timeout=self._timeout, context=context)

    def _error(self, status: int, answer: Any, body: bytes, query: str) -> Exception:
        told = str(answer.get("error", "")) if isinstance(answer, dict) else ""
        if found := _PARSE_ERROR.fullmatch(told):
            return UsageError(_pointed(query, int(found[1]), found[2]))
        if told and answer.get("errorType") in ("bad_data", "execution"):
            return UsageError(f"Prometheus: {told}\n  {query}")
        if status in (401, 403):
            want = "set MESHTEST_PROMETHEUS_TOKEN, or MESHTEST_PROMETHEUS_USER and MESHTEST_PROMETHEUS_PASSWORD"
            return UsageError(f"Prometheus at {self.url} refuses us ({status}); {want}")
        return ProviderError(
            f"Prometheus at {self.url} answered {status}: {told or body[:200].decode(errors='replace')}"
        )


def _pointed(query: str, column: int, words: str) -> str:
    """The query with a mark below the column that Prometheus names."""
    return f"Prometheus: {words} (column {column})\n  {query}\n  {' ' * (column - 1)}^"


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
