"""The spans of a run: a receiver that lives as long as its provider, for warm proxies keep its address.

Not here: receiving (a plugin's matter: entry point `receiver` of `meshtest.telemetry`), what spans mean (model/).
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

from meshtest.run import Run, folder
from meshtest.spi import registry
from meshtest.spi.provider import Provider
from meshtest.spi.telemetry import Collector, SendsSpans, SpanReceiver

RECEIVER = "receiver"


class _Open(NamedTuple):
    receiver: SpanReceiver
    collector: Collector


_open: weakref.WeakKeyDictionary[Provider, _Open] = weakref.WeakKeyDictionary()


class Collecting:
    """What one mesh has to do with spans."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._own: _Open | None = None

    def begin(self, run: Run, traces: str) -> Collector | None:
        """From now on spans belong to this run; None: nobody takes any."""
        if traces == "off":
            return None
        if RECEIVER not in registry.names("telemetry"):
            run.record("note", text="no span receiver is installed, so there are no traces; reinstall meshtest")
            return None
        self._own = _receiver_of(self._provider)
        self._own.receiver.serve(run.directory / folder.SPANS, run.record)
        return self._own.collector

    def flush(self) -> None:
        """Return when the spans of all requests that have ended are on record, as far as they were ever sent."""
        if self._own is not None:
            if isinstance(self._provider, SendsSpans):
                self._provider.send_spans()
            self._own.receiver.flush()

    def end(self, *, close: bool) -> None:
        """The run takes no more; `close`: nor does any other, as the provider ends."""
        own, self._own = self._own, None
        if own is not None and close:
            _open.pop(self._provider, None)
            own.receiver.close()
        elif own is not None:
            own.receiver.rest()


def _receiver_of(provider: Provider) -> _Open:
    if provider not in _open:
        receiver: SpanReceiver = registry.load("telemetry", RECEIVER)()
        _open[provider] = _Open(receiver, receiver.start())
        weakref.finalize(provider, receiver.close)
    return _open[provider]
