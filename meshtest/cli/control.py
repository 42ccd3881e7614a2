"""How commands in other terminals reach a mesh that is up: a unix socket, one JSON line asked, JSON lines answered.

The folder is only for this user; one socket a mesh, named by the pid of its `meshtest up`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from meshtest.errors import MeshtestError, UsageError

if TYPE_CHECKING:
    from meshtest.mesh import Mesh


def folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"meshtest-up-{os.getuid()}"


class Server:
    """Answers one request at a time, in threads of its own; ends with the block."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._busy = threading.Lock()
        self.path = folder() / f"{os.getpid()}.sock"

    def __enter__(self) -> Self:
        folder().mkdir(mode=0o700, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._accept, name="control", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder().rmdir()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rw", encoding="utf-8") as lines, contextlib.suppress(OSError, ValueError):
            for answer in self._answers(json.loads(lines.readline())):
                lines.write(json.dumps(answer) + "\n")
                lines.flush()

    def _answers(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from meshtest.cli import acts

        try:
            yield from acts.perform(self._mesh, self._busy, request["do"], request["arguments"])
        except MeshtestError as error:
            yield {"error": str(error), "bad_input": isinstance(error, UsageError)}


def ask(do: str, pid: int | None, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Lines of answer from the mesh that is up; UsageError if there is none, or if it says the request is wrong."""
    with _connected(pid) as connection, connection.makefile("rw", encoding="utf-8") as lines:
        lines.write(json.dumps({"do": do, "arguments": arguments}) + "\n")
        lines.flush()
        for line in lines:
            answer = json.loads(line)
            if "error" in answer:
                raise (UsageError if answer["bad_input"] else MeshtestError)(answer["error"])
            yield answer


def _connected(pid: int | None) -> socket.socket:
    found: dict[int, socket.socket] = {}
    for path in sorted(folder().glob("*.sock")):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            path.unlink(missing_ok=True)  # of a mesh that was killed
            continue
        found[int(path.stem)] = connection
    chosen = found.pop(pid, None) if pid else (found.popitem()[1] if len(found) == 1 else None)
    for other in found.values():
        other.close()
    if chosen is None and found:
        raise UsageError(f"several meshes are up; choose one with --pid: {', '.join(map(str, found))}")
    if chosen is None:
        with contextlib.suppress(OSError):
            folder().rmdir()
        raise UsageError("no mesh is up; start one in another terminal: meshtest up FILES")
    return chosen
