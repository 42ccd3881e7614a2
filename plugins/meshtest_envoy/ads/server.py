"""The gRPC server behind ADS, and `push`: send, and return when Envoy has acknowledged.

The ACK of a route configuration is a barrier: measured, 0 of 28,800 requests sent right after it were served by the old
routes. Sync grpcio: one thread reads a stream, one writes it; an Envoy is one stream.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from meshtest.errors import ConfigRejected, ProviderError
from meshtest_envoy.ads.descriptors import message_class
from meshtest_envoy.ads.stream import CLUSTER, ENDPOINTS, FILTERS, LISTENER, ROUTES, SECRET, Stream
from meshtest_envoy.ads.threads import DaemonThreads

METHOD = "StreamAggregatedResources"
SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

SENT = (SECRET, CLUSTER, ENDPOINTS, LISTENER, FILTERS, ROUTES)
"""Order in which a stream is brought up to date: what is referred to goes first."""


class AdsServer:
    """Serves one Envoy on a unix socket."""

    def __init__(self, socket: Path) -> None:
        self._stream = Stream()
        self._changed = threading.Condition()
        self._outbox: queue.SimpleQueue[Message | None] | None = None
        self._failure: ProviderError | None = None
        self._server = grpc.server(DaemonThreads())
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=message_class("envoy.service.discovery.v3.DiscoveryRequest").FromString,
            response_serializer=_serialize,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        self._server.add_insecure_port(f"unix:{socket}")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._post(None)
        self._server.stop(grace=None).wait(2.0)

    def fail(self, failure: ProviderError) -> None:
        """Envoy is gone: whoever waits for it gets this instead of a timeout."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def put(self, type_url: str, resources: Mapping[str, Mapping[str, Any]], *, touch: Iterable[str] = ()) -> None:
        """Make these all the resources of the type without waiting: Envoy gets them when it asks, or behind the next
        push. `touch` re-sends resources that did not change."""
        with self._changed:
            self._stream.put(type_url, resources, touch)

    def push(
        self,
        type_url: str,
        resources: Mapping[str, Mapping[str, Any]],
        *,
        touch: Iterable[str] = (),
        within: float,
    ) -> None:
        """Make these all the resources of the type, and return when Envoy has acknowledged them.

        `touch` re-sends resources that did not change. Raises ConfigRejected with Envoy's text; the resources are then
        as before.
        """
        with self._changed:
            before = {n: r.json for n, r in self._stream.subscription(type_url).resources.items()}
            goal = self._stream.put(type_url, resources, touch)
            self._send()
            try:
                self._wait(type_url, goal, within)
            except ConfigRejected:
                self._stream.put(type_url, before)
                self._send()
                raise

    def _wait(self, type_url: str, goal: dict[str, int], within: float) -> None:
        """Call with the lock held."""
        deadline = time.monotonic() + within
        while True:
            if self._failure:
                raise self._failure
            if text := self._stream.take_rejection(type_url):
                raise ConfigRejected(f"Envoy refused the configuration: {readable(text)}")
            missing = self._stream.missing(type_url, goal)
            if not missing:
                return
            if not self._changed.wait(deadline - time.monotonic()):
                kind = type_url.rpartition(".")[2]
                state = "never asked for it" if self._stream.unsubscribed(type_url) else "did not acknowledge"
                raise ProviderError(f"Envoy {state} within {within:g} s: {kind} {', '.join(sorted(missing)[:5])}")

    def _send(self) -> None:
        """Bring the stream up to date. Call with the lock held."""
        for type_url in SENT:
            if self._outbox is not None and (response := self._stream.pending(type_url)):
                self._outbox.put(response)

    def _post(self, item: Message | None) -> None:
        with self._changed:
            if self._outbox is not None:
                self._outbox.put(item)

    def _serve(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Message]:
        outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._changed:
            self._stream.reconnect()
            self._outbox = outbox
        threading.Thread(target=self._read, args=(requests, outbox), name="ads-read", daemon=True).start()
        yield from iter(outbox.get, None)

    def _read(self, requests: Iterator[Any], outbox: queue.SimpleQueue[Message | None]) -> None:
        try:
            for request in requests:
                with self._changed:
                    self._stream.receive(request)
                    self._send()
                    self._changed.notify_all()
        except grpc.RpcError:
            pass  # the stream broke: Envoy ended, or will come back on a new one
        finally:
            outbox.put(None)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def readable(text: str) -> str:
    """Envoy's NACK text as one line. A validation text dumps the message and nests its reasons; the last counts."""
    text = re.sub(r"goo\.gle/debug\w+\s*", "", text)
    if (last := re.search(r"Proto constraint validation failed \((.*)\)\s*$", text, re.S)) is not None:
        text = last[1].rpartition("| caused by ")[2]
    return re.sub(r"\s+", " ", text).strip()[:800]
