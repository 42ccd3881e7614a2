"""How a stand-in ends on SIGTERM (annotation meshtest.dev/drain).

graceful  goes on serving, with `connection: close`, while requests still arrive; ends with code 0 once none came for
          QUIET seconds and none is open, after MOST seconds at the latest. Istio's echo does so with 1 s and 10 s; one
          machine needs less, since endpoints are gone from the proxies within milliseconds. Connections of HTTP/2 get
          a GOAWAY, WebSockets a close with 1001, TCP connections a half close
abrupt    ends at once, by the signal; requests in flight are cut
ignore    takes no notice; SIGKILL ends it after the grace period
"""

from __future__ import annotations

import asyncio
import signal
import time

from meshtest_envoy.pods.service import Service

QUIET = 0.3
MOST = 10.0


def prepare(service: Service, drain: str) -> asyncio.Event:
    """Set up SIGTERM, which a fork blocks until then; the event is set when the process may end."""
    over = asyncio.Event()
    if drain == "graceful":
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        def begin() -> None:
            if not tasks:
                tasks.add(loop.create_task(_drain(service, over)))

        loop.add_signal_handler(signal.SIGTERM, begin)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if drain == "abrupt" else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    return over


async def _drain(service: Service, over: asyncio.Event) -> None:
    service.drain()
    began = time.monotonic()
    while (now := time.monotonic()) < began + MOST:
        quiet_at = max(service.last, began) + QUIET
        if now >= quiet_at and not service.active:
            break
        await asyncio.sleep(max(quiet_at - now, 0.01))
    over.set()
