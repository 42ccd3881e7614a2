"""A request, read within its limits: what a handler is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from meshtest.webhook.payload import Payload, parse
from meshtest.webhook.refusal import Refusal, shown

if TYPE_CHECKING:
    from starlette.types import Receive

LONGEST_WAIT = 3600.0
SIGNED = "signature"
"""May be in any query (auth.py)."""


class Call:
    """One request, its body whole. Names of headers are in lower case."""

    def __init__(
        self, method: str, path: str, words: Mapping[str, str], query: bytes, headers: Mapping[str, str], body: bytes
    ) -> None:
        self.method, self.path, self.words, self.headers, self.body = method, path, words, headers, body
        self._query = query

    @cached_property
    def query(self) -> Mapping[str, str]:
        try:
            pairs = parse_qsl(self._query.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise Refusal(400, "the query cannot be read") from None
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Refusal(400, "a query parameter comes twice")
        return found

    def only(self, known: Collection[str]) -> None:
        """No other query parameters: a misspelt one would be a rule that nobody applies."""
        for name in self.query:
            if name not in known and name != SIGNED:
                raise Refusal(
                    400, f"no query parameter {shown(name)} here; there is {', '.join([*sorted(known), SIGNED])}"
                )

    @cached_property
    def payload(self) -> Payload:
        """Refusal 400 if the body is none."""
        return parse(self.body)

    def seconds(self, name: str, default: float) -> float:
        """Of the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.replace(".", "", 1).isdecimal() or not text.isascii() or not 0 <= float(text) <= LONGEST_WAIT:
            raise Refusal(400, f"{name}: {shown(text)} are no seconds from 0 to {LONGEST_WAIT:g}")
        return float(text)

    @property
    def who(self) -> str:
        """As far as the request tells, for the audit."""
        return ascii(self.headers.get("user-agent", "unknown"))[1:-1][:80]


async def read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The body. 413 over the limit; a client that leaves, or is too slow (protocol.py), gets no answer from here."""
    announced = headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise too_large(limit)
    found, size, more = [], 0, True
    while more:
        part = await receive()
        if part["type"] == "http.disconnect":
            raise Refusal(400, "the client left")
        found.append(part.get("body", b""))
        size, more = size + len(found[-1]), part.get("more_body", False)
        if size > limit:
            raise too_large(limit)
    return b"".join(found)


def too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body has more than {limit} bytes (--body-limit)", {"Connection": "close"})
