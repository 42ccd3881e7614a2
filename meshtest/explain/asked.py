"""The request that is asked about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass

METHOD = re.compile(r"[A-Z][A-Z_-]*")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. `authority` is the Host header, with a port where the client names one."""

    authority: str
    method: str = "GET"
    path: str = "/"
    """With the query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"

    @classmethod
    def of(cls, host: str, method: str, path: str, headers: Mapping[str, str] | None = None) -> Asked:
        """From words: `reviews:9080` or `http://reviews:9080`; UsageError for what can be no request."""
        scheme, separator, rest = host.partition("://")
        scheme, authority = (scheme.lower(), rest) if separator else ("http", host)
        authority = authority.rstrip("/")
        if scheme not in ("http", "https") or not authority or "/" in authority or " " in authority:
            raise UsageError(f"host {host!r}: write a host, with its port where it is not 80, as in reviews:9080")
        if not METHOD.fullmatch(method):
            raise UsageError(f"method {method!r}: write it as in GET")
        if not path.startswith("/"):
            raise UsageError(f"path {path!r}: a path begins with /")
        return cls(authority=authority, method=method, path=path, headers=dict(headers or {}), scheme=scheme)

    @property
    def bare_path(self) -> str:
        return self.path.partition("#")[0].partition("?")[0]

    @property
    def query(self) -> str:
        return self.path.partition("#")[0].partition("?")[2]

    @property
    def host(self) -> str:
        """Without the port."""
        return self.authority.rpartition(":")[0] if self.authority.rpartition(":")[2].isdigit() else self.authority

    @property
    def port(self) -> int | None:
        tail = self.authority.rpartition(":")[2]
        return int(tail) if ":" in self.authority and tail.isdigit() else None

    @property
    def fields(self) -> dict[str, str]:
        """Header fields with the pseudo headers, names in lower case, as matches see them."""
        fields = {name.lower(): value for name, value in self.headers.items()}
        return fields | {
            ":method": self.method, ":authority": self.authority, ":scheme": self.scheme, ":path": self.path,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.method} {self.scheme}://{self.authority}{self.path}"
