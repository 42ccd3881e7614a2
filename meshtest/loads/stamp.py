"""What is different in each request of a load: its id, its trace, the faults it asks for, its user's cookies.

    x-meshtest-id: NAME-INDEX
    traceparent: 00-SEEDED-SPAN-01      (W3C Trace Context, level 1)
    x-b3-traceid, -spanid, -sampled     the same as B3, where services forward only that

All but the cookies are pure functions of the seed and the index (model/choices.py). Part of the prober's process: light
imports.
"""

from __future__ import annotations

from meshtest.model.choices import limit, mixed, trace, user_of
from meshtest.model.record import REQUEST_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class StampOrder(TypedDict):
        """The same for all targets of a load."""

        name: str
        trace_salt: int
        sampled: float
        """Share of the requests whose trace is to be sampled."""
        b3: bool
        faults: list[tuple[str, str, float, int]]
        """Header, value, share of the requests that carry it, salt."""
        users: int
        """Virtual users with a session each; 0 is none."""
        parts: int


_ID, _TRACE, _COOKIE = REQUEST_ID.encode(), b"traceparent", b"cookie"

Jar = dict[bytes, tuple[bytes, bytes]]
"""Cookie name to (value, path)."""


class Stamp:
    """The fields of one target's requests. `jars`: the cookies of (user, host), shared by the targets of a load."""

    def __init__(
        self, order: StampOrder, host: str, path: str, jars: dict[tuple[int, str], Jar], traced: bool = False
    ) -> None:
        """`traced`: the target has a traceparent of its own."""
        self.name = order["name"].encode()
        self.salt = order["trace_salt"]
        self.upper = b"00-%016x" % (self.salt or 1)
        self.sampled_below = limit(order["sampled"])
        self.sessions = order["users"] > 0
        self._users, self._parts = order["users"], order["parts"]
        self._faults = [(h.encode(), value.encode(), limit(s), salt) for h, value, s, salt in order["faults"]]
        self._host, self._path, self._jars = host, path.encode().partition(b"?")[0], jars
        self._traced = traced
        self._b3 = order["b3"]
        self.plain = not (self.sessions or self._faults or traced or self._b3)
        """Id and trace are all there is."""

    def id(self, index: int) -> bytes:
        return b"%b-%d" % (self.name, index)

    def pairs(self, index: int) -> list[tuple[bytes, bytes]]:
        """Names in lower case."""
        fields = [(_ID, self.id(index))]
        if not self._traced:
            lower = trace(self.salt, index)
            flag = b"01" if lower < self.sampled_below else b"00"
            fields.append((_TRACE, b"%b%016x-%016x-%b" % (self.upper, lower, lower, flag)))
            if self._b3:
                fields += _b3(b"%b%016x" % (self.upper[3:], lower), b"%016x" % lower, flag[1:])
        fields += [(name, value) for name, value, below, salt in self._faults if mixed(salt, index) < below]
        if self.sessions and (cookie := self._cookie(index)):
            fields.append((_COOKIE, cookie))
        return fields

    def lines(self, index: int) -> bytes:
        """The same as lines of HTTP/1."""
        return b"".join(b"%b: %b\r\n" % pair for pair in self.pairs(index))

    # Sessions (RFC 6265, as far as one host and a test's life need it: no Domain, no dates).

    def keep(self, index: int, cookie: bytes) -> None:
        """An answer's Set-Cookie: the user sends it from now on, or drops it if it has no time to live."""
        pair, *attributes = cookie.split(b";")
        name, equals, value = pair.partition(b"=")
        if not equals:
            return
        path, ends = b"/", False
        for attribute in attributes:
            word, _, what = (part.strip() for part in attribute.partition(b"="))
            if word.lower() == b"path" and what.startswith(b"/"):
                path = what
            if word.lower() == b"max-age" and (what.startswith(b"-") or what == b"0"):
                ends = True
        jar = self._jars.setdefault((user_of(index, self._users, self._parts), self._host), {})
        if ends:
            jar.pop(name.strip(), None)
        else:
            jar[name.strip()] = (value.strip(), path)

    def _cookie(self, index: int) -> bytes:
        jar = self._jars.get((user_of(index, self._users, self._parts), self._host))
        if not jar:
            return b""
        return b"; ".join(b"%b=%b" % (name, value) for name, (value, path) in jar.items() if self._reaches(path))

    def _reaches(self, path: bytes) -> bool:
        """RFC 6265, 5.1.4."""
        mine = self._path
        return mine == path or (mine.startswith(path) and (path.endswith(b"/") or mine[len(path) :][:1] == b"/"))


def _b3(trace: bytes, span: bytes, sampled: bytes) -> list[tuple[bytes, bytes]]:
    """B3's headers, one a field (github.com/openzipkin/b3-propagation)."""
    return [(b"x-b3-traceid", trace), (b"x-b3-spanid", span), (b"x-b3-sampled", sampled)]
