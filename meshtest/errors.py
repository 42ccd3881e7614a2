"""Our own trouble: bad input, a provider, a tool - never the system under test.

MeshtestError
├── UsageError            a bad argument, option or setting
├── ManifestError         a document that cannot be read or does not mean anything; carries its diagnostics
├── FeatureMissing        the provider does not declare what the scenario needs
├── HistoryError          the run folder cannot be written or read
├── LoadError             the load generator could not start or died
├── TraceIncomplete       spans of a trace have not come; says which
└── ProviderError         the mesh could not be stood up or moved
    ├── ConfigRejected    the proxy refused the configuration (NACK), with its own words
    ├── ProcessFailed     a process could not start, crashed, or never became ready
    └── PortTaken         an address that was asked for is in use

RolloutFailed (an AssertionError): the system under test did not hold, or nothing was proven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.model.diagnostic import Diagnostic
    from meshtest.model.verdict import Verdict


class MeshtestError(Exception):
    """Bad input, a provider, a tool: never the system under test. Its text is for a person: what, where, what to do."""


class UsageError(MeshtestError):
    """An argument, option or setting has no meaning here."""


class ManifestError(MeshtestError):
    """One or more documents cannot be used; the text lists each error with its file:line."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(str(d) for d in diagnostics))
        self.diagnostics = tuple(diagnostics)


class FeatureMissing(MeshtestError):
    """The scenario needs what the provider does not declare."""

    def __init__(self, provider: str, missing: Sequence[str]) -> None:
        super().__init__(f"provider {provider!r} lacks {', '.join(missing)}")
        self.missing = tuple(missing)


class HistoryError(MeshtestError):
    """The run folder cannot be written or read; what was recorded until then is kept."""


class LoadError(MeshtestError):
    """The load generator could not start, or died before it was told to stop."""


class TraceIncomplete(MeshtestError):
    """A trace was not complete within the time given; the text says what is missing."""


class ProviderError(MeshtestError):
    """The mesh could not be stood up, or could not be moved to the asked state."""


class ConfigRejected(ProviderError):
    """The proxy refused the configuration; the one in force before stays in force."""


class ProcessFailed(ProviderError):
    """A process could not start, crashed, or never became ready; the text ends with its last log lines."""


class PortTaken(ProviderError):
    """An address that was asked for is in use by another process."""


class RolloutFailed(AssertionError):
    """A verdict that is not PASS; `str()` is its sentence, then one line a finding."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict
