"""What Linkerd's annotations on a Service or a route say: retries, timeouts, failure accrual.

Rules: linkerd2 policy-controller/k8s/index/src/outbound/ (index.rs, http.rs, grpc.rs), and the reference pages retries,
timeouts, circuit-breaking of its documentation. Those of a route replace the Service's, retries and timeouts apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.model.policy import OutlierDetection
from meshtest.model.route import Retry

RETRY, TIMEOUT, ACCRUAL = "retry.linkerd.io/", "timeout.linkerd.io/", "balancer.linkerd.io/failure-accrual"
CONSECUTIVE = f"{ACCRUAL}-consecutive-"

KNOWN = (
    *(RETRY + name for name in ("http", "grpc", "limit", "timeout")),
    *(TIMEOUT + name for name in ("request", "response", "idle")),
    ACCRUAL,
    *(CONSECUTIVE + name for name in ("max-failures", "min-penalty", "max-penalty", "jitter-ratio")),
)

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

HTTP_CODES = {"5xx": range(500, 600), "gateway-error": range(502, 505)}
GRPC_CODES = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
"""As Envoy's retry_on spells them too."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds; None: no limit, which is Linkerd's default."""

    request: float | None = None
    response: float | None = None
    idle: float | None = None


class Annotations:
    """Those of one object, read on request; what is wrong goes to `notes` with its line."""

    def __init__(self, document: Document, notes: list[Diagnostic]) -> None:
        found = document.metadata.get("annotations")
        self._document, self._notes = document, notes
        self._all: Mapping[str, str] = {
            str(name): value
            for name, value in (found if isinstance(found, dict) else {}).items()
            if isinstance(value, str)
        }

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._all)

    @property
    def retries_set(self) -> bool:
        return self.has(RETRY)

    @property
    def retries_grpc(self) -> bool:
        return RETRY + "grpc" in self._all

    @property
    def timeouts_set(self) -> bool:
        return self.has(TIMEOUT)

    def unknown(self) -> None:
        """Say which look like Linkerd's and are none: it ignores a misspelt one without a word."""
        for name in self._all:
            if name.startswith((RETRY, TIMEOUT, ACCRUAL)) and name not in KNOWN:
                near = nearest(name, KNOWN)
                self._wrong(name, f"unknown annotation `{name}`" + (f"; did you mean `{near}`?" if near else ""))

    def retry(self, *, grpc: bool) -> Retry | None:
        """None without a condition: limit and timeout alone make no response worth a retry."""
        codes = () if grpc else tuple(sorted(set(self._http_codes())))
        conditions = self._grpc_codes() if grpc else ()
        limit = self._integer(RETRY + "limit", default=1)
        each = self._seconds(RETRY + "timeout")
        if not codes and not conditions:
            if self.has(RETRY) and not {RETRY + "http", RETRY + "grpc"} & self._all.keys():
                self._warn(f"nothing is retried: `{RETRY}http` says which responses are, and is not set")
            return None
        on = (*conditions, *(("retriable-status-codes", "reset", "connect-failure") if codes else ()))
        return Retry(attempts=limit, on=on, status_codes=codes, per_try_timeout=each or None) if limit else None

    def timeouts(self) -> Timeouts:
        seconds = {name: self._seconds(TIMEOUT + name) or None for name in ("request", "response", "idle")}
        return Timeouts(**seconds)

    def accrual(self) -> OutlierDetection | None:
        """Consecutive failures take an endpoint out; Envoy has no probation, so it comes back as a whole."""
        mode = self._all.get(ACCRUAL)
        if mode is None:
            return None
        if mode != "consecutive":
            self._wrong(ACCRUAL, f"failure accrual {mode!r} is not supported; choose consecutive")
            return None
        least = self._seconds(CONSECUTIVE + "min-penalty", default=1.0) or 0.001
        most = self._seconds(CONSECUTIVE + "max-penalty", default=60.0) or 0.0
        if least > most:
            self._wrong(
                CONSECUTIVE + "min-penalty", f"min-penalty ({least:g} s) must not exceed max-penalty ({most:g} s)"
            )
            return None
        return OutlierDetection(
            consecutive_5xx=self._integer(CONSECUTIVE + "max-failures", default=7),
            interval=min(least, 1.0),
            base_ejection_time=least,
            max_ejection_time=most,
            max_ejection_percent=100,
        )

    # ---- values

    def _http_codes(self) -> Iterator[int]:
        name = RETRY + "http"
        for word in filter(None, (part.strip() for part in self._all.get(name, "").split(","))):
            if word in HTTP_CODES:
                yield from HTTP_CODES[word]
            elif found := re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", word):
                yield from range(int(found[1]), int(found[2] or found[1]) + 1)
            else:
                self._wrong(
                    name, f"{word!r} is no condition; allowed: 5xx, gateway-error, a status, a range as in 500-504"
                )

    def _grpc_codes(self) -> tuple[str, ...]:
        name = RETRY + "grpc"
        words = [part.strip() for part in self._all.get(name, "").split(",") if part.strip()]
        for word in words:
            if word not in GRPC_CODES:
                self._wrong(name, f"{word!r} is no condition; allowed: {listed(GRPC_CODES)}")
        return tuple(word for word in words if word in GRPC_CODES)

    def _integer(self, name: str, *, default: int) -> int:
        text = self._all.get(name)
        if text is None:
            return default
        if not text.strip().isdecimal():
            self._wrong(name, f"`{name}` must be a whole number, not {text!r}")
            return default
        return int(text)

    def _seconds(self, name: str, *, default: float | None = None) -> float | None:
        text = self._all.get(name)
        if text is None:
            return default
        found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text.strip())
        if found is None and text.strip() != "0":
            self._wrong(name, f"`{name}` must be a duration as in 300ms (ms, s, m, h, d), not {text!r}")
            return default
        return int(found[1]) * UNITS[found[2]] if found else 0.0

    def _wrong(self, name: str, text: str) -> None:
        where = self._document.where("metadata", "annotations", name)
        self._notes.append(Diagnostic(Severity.ERROR, "bad-value", text, where))

    def _warn(self, text: str) -> None:
        where = self._document.where("metadata", "annotations")
        self._notes.append(Diagnostic(Severity.WARNING, "no-effect", text, where))
