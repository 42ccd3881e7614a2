"""The supervisor as the runner sees it: start processes, stop them, hear what became of them.

Safe from any thread. A reader thread hands out replies and events; `on_event` runs in it, so it must be quick and must
not call the supervisor itself (that is refused: the reply could never be read).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

import meshtest_envoy
from meshtest.errors import ProcessFailed, ProviderError
from meshtest_envoy.pods import heal, libraries, logs, procs
from meshtest_envoy.pods.spec import PodEvent, PodSpec, PodStarted

REPLY = 20.0
"""Seconds to wait for a reply; the supervisor answers in milliseconds unless the machine is overloaded."""
END = 5.0
"""Seconds for the supervisor to end everything; it gives programs 1 s."""
NAME = "supervisor"
"""Subject of the event that tells that the supervisor itself is gone."""

# ssl is made unimportable: asyncio would spend 20 ms on it, and nobody speaks TLS there.
_BOOTSTRAP = (
    "import sys; sys.modules['ssl'] = None; sys.path.insert(0, sys.argv[1]); "
    "from meshtest_envoy.pods.supervisor import main; "
    "main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6:])"
)

_log = logging.getLogger(__name__)


class Supervisor:
    """One supervisor process; `directory` is a runtime folder (runtime.make_runtime_dir) that goes with it."""

    def __init__(self, directory: Path, on_event: Callable[[PodEvent], None]) -> None:
        self.directory = directory
        self._on_event = on_event
        self._stderr = directory / "supervisor.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._reader: threading.Thread
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._number = 0
        self._closing = False
        self._dead = ""
        self._owner = os.getpid()

    def start(self) -> None:
        """Start the process and return at once: it needs some 100 ms, in which the runner can do other things."""
        self._channel, theirs = socket.socketpair()
        arguments = [self.directory, os.getpid(), procs.start_time(os.getpid()), *_library_folders()]
        plugins = Path(meshtest_envoy.__file__).parent.parent
        with theirs, open(self._stderr, "ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, plugins, str(theirs.fileno()), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="meshtest-supervisor", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the supervisor; 0 before start()."""
        return self._process.pid if self._process else 0

    def ping(self) -> None:
        """Return when the supervisor serves."""
        self._call("ping")

    def spawn(self, name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> int:
        """Run a helper such as Envoy, with `env` over the runner's environment; its pid. Its end is an event."""
        return self.spawn_soon(name, argv, log=log, env=env)()

    def spawn_soon(
        self, name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> Callable[[], int]:
        """As spawn, but return at once: what comes back waits for the pid."""
        told = self._ask(
            "spawn", name=name, argv=[*map(str, argv)], log=str(log.absolute()), env=dict(env) if env else None
        )
        return lambda: int(told()["pid"])

    def signal(self, target: str | int, signum: int) -> None:
        """To a pod or helper by name, or to a process the supervisor started by its pid."""
        self._call("signal", target=target, signum=int(signum))

    def start_pod(self, spec: PodSpec) -> PodStarted:
        """Start a pod; returns when its process runs and its ports are known. Readiness is an event."""
        told = self._call("start_pod", pod=spec.to_wire())
        return PodStarted(told["pid"], {int(number): real for number, real in told["ports"].items()})

    def stop_pod(self, name: str, grace: float | None = None) -> None:
        """Begin to terminate a pod (preStop, SIGTERM, grace, SIGKILL) and return; events tell how it goes."""
        self._call("stop_pod", name=name, grace=grace)

    def kill_pod(self, name: str, signum: int = SIGKILL) -> None:
        """A signal and nothing else: a crash. SIGKILL, SIGSTOP and SIGCONT go to all processes of the pod."""
        self._call("signal", target=name, signum=int(signum))

    def close(self) -> None:
        """End everything and wait for it. Safe to call twice, and without start()."""
        with self._lock:
            again, self._closing = self._closing, True
        if self._process is None or again or self._owner != os.getpid():
            return
        if not self._dead:
            with contextlib.suppress(ProviderError, FutureTimeout):
                self._send("close").result(END)
        self._channel.close() if threading.current_thread() is self._reader else self._hang_up()
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.directory.exists():
            heal.finish(self.directory)

    def _hang_up(self) -> None:
        """The reader sees the end of the channel, and so does the supervisor, if it is still there."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._reader.join(END)
        self._channel.close()

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self._ask(operation, **arguments)()

    def _ask(self, operation: str, **arguments: Any) -> Callable[[], dict[str, Any]]:
        """Send it; what comes back waits for the reply."""
        if self._process is None:
            raise ProviderError("the supervisor was not started: call start() first")
        if threading.current_thread() is self._reader:
            raise ProviderError(f"{operation} from on_event would wait for itself; call it from another thread")
        reply = self._send(operation, **arguments)

        def wait() -> dict[str, Any]:
            try:
                return reply.result(REPLY)
            except FutureTimeout:
                raise ProviderError(f"the supervisor did not answer {operation!r} within {REPLY:g} s") from None

        return wait

    def _send(self, operation: str, **arguments: Any) -> Future[dict[str, Any]]:
        reply: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._dead:
                raise ProviderError(self._dead)
            self._number += 1
            self._waiting[self._number] = reply
            request = {"id": self._number, "do": operation, **arguments}
            with contextlib.suppress(OSError):  # the reader learns of the end too, and fails the reply
                self._channel.sendall(json.dumps(request).encode() + b"\n")
        return reply

    def _read(self) -> None:
        """The reader thread."""
        with self._channel.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                if line.endswith(b"\n"):
                    self._take(json.loads(line))
        self._lost()

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._deliver(_event(message))
            return
        with self._lock:
            reply = self._waiting.pop(message["id"], None)
        if reply is None:
            return
        if "error" in message:
            reply.set_exception(ProcessFailed(message["error"]))
        else:
            reply.set_result(message["result"])

    def _deliver(self, event: PodEvent) -> None:
        try:
            self._on_event(event)
        except Exception:
            _log.exception("on_event failed for %s of %s", event.kind, event.pod)

    def _lost(self) -> None:
        """The channel ended: fail who waits, and say so unless it was asked for."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END)
        tail = logs.tail(self._stderr)
        why = f"the supervisor ended ({_how(self._process.returncode)})"
        with self._lock:
            expected = self._closing
            self._dead = "the supervisor is closed" if expected else "; ".join([why, *tail])
            waiting, self._waiting = self._waiting, {}
        for reply in waiting.values():
            reply.set_exception(ProviderError(self._dead))
        if not expected:
            code = self._process.returncode
            detail = {"pid": self.pid, "code": code, "reason": "Error", "why": why, "final": True, "log": tail}
            self._deliver(PodEvent(time.monotonic_ns(), NAME, "exited", detail))


def _library_folders() -> list[str]:
    """Where a stand-in finds what is not of the standard library; looked up, not imported."""
    specs = [importlib.util.find_spec(name) for name in libraries.NAMES]
    return list(dict.fromkeys(str(Path(spec.origin).parent.parent) for spec in specs if spec and spec.origin))


def _event(message: Mapping[str, Any]) -> PodEvent:
    """JSON made the keys of `ports` strings."""
    detail = dict(message["detail"])
    if "ports" in detail:
        detail["ports"] = {int(number): real for number, real in detail["ports"].items()}
    return PodEvent(message["at"], message["pod"], message["event"], detail)


def _how(code: int | None) -> str:
    if code is None:
        return "still there, but not listening"
    return f"signal {Signals(-code).name}" if code < 0 else f"exit code {code}"
