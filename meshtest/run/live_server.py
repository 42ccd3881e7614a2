"""The process behind a live page: reads a run folder, answers `GET /`. Started by live.py.

One path, and only for a browser on this machine that asked for this machine: the header Host must be a name of
loopback, or a web site could have its own name resolve to 127.0.0.1 and read the page (DNS rebinding). Nothing of what
a client sends is used as a path.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from meshtest.errors import HistoryError
from meshtest.reporters.html import page
from meshtest.run import folder
from meshtest.run.report import report_of
from meshtest.run.stored import StoredRun, open_run

NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
EVERY = 1.0
"""Seconds between two pages at least, and ..."""
SHARE = 0.2
"""... no more than this part of a core for them: of a million requests one takes 2 s."""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HEAD = """<noscript><meta http-equiv="refresh" content="2"></noscript>
<script>
// The page renews itself in place, so that it does not jump and what is unfolded stays so.
let last = "";
async function renew() {
  try {
    const answer = await fetch("/", {cache: "no-cache"});
    const tag = answer.headers.get("ETag");
    if (answer.ok && tag !== last) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = [...document.querySelectorAll("details")].map((details) => details.open);
      if (last) {
        document.body.replaceWith(fresh.body);
        for (const inert of document.body.querySelectorAll("script")) {
          const script = document.createElement("script");
          script.textContent = inert.textContent;
          inert.replaceWith(script);
        }
      }
      [...document.querySelectorAll("details")].forEach((details, i) => { details.open = open[i] ?? details.open; });
      document.title = fresh.title;
      last = tag;
    }
    setTimeout(renew, 1000);
  } catch {
    const told = document.getElementById("live");
    if (told) told.textContent = "ended; this is what was seen last";
  }
}
addEventListener("DOMContentLoaded", () => setTimeout(renew, 1000));
</script>
<style>
#live { position: fixed; right: 1rem; bottom: 1rem; margin: 0; padding: .3rem .8rem;
  border: 1px solid; border-radius: 1rem; background: Canvas; color: CanvasText; font-size: .8rem; }
@media print { #live { display: none; } }
</style>"""
BANNER = '<p id="live" role="status">{}</p>'
"""Says whether the page still changes."""


class Made(NamedTuple):
    """A page and what it was made of."""

    tag: str
    body: bytes
    again: float
    """Not before this moment."""


class Pages:
    """Makes the page when somebody asks and there is something new. Safe from any thread."""

    def __init__(self, where: Path, runner: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._where, self._runner, self._clock = where, runner, clock
        self._lock = threading.Lock()
        self._made = Made("", b"", float("-inf"))

    def now(self) -> Made:
        """HistoryError if there is no run yet, or it cannot be read."""
        with self._lock:
            began = self._clock()
            if began < self._made.again:
                return self._made
            run = open_run(self._where if (self._where / folder.RUN).is_file() else self._newest())
            tag = fingerprint(run)
            body = self._made.body if tag == self._made.tag else rendered(run)
            took = self._clock() - began
            self._made = Made(tag, body, began + max(EVERY, took / SHARE))
            return self._made

    def _newest(self) -> Path:
        found = [path for path, about in folder.runs(self._where) if about.get("pid") == self._runner]
        if not found:
            raise HistoryError(f"no run in {self._where} yet")
        return found[-1]


def fingerprint(run: StoredRun) -> str:
    """Another one when something was written."""
    files = [run.path / name for name in (folder.RUN, folder.EVENTS, folder.VERDICT, folder.HOPS, folder.SPANS)]
    files += sorted((run.path / folder.REQUESTS).glob("*.bin"))
    states = [(found.st_size, found.st_mtime_ns) for path in files if (found := _stat(path))]
    return f'"{run.path.name}-{hash(tuple(states)):x}"'


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def rendered(run: StoredRun) -> bytes:
    text = page(report_of(run), head=HEAD)
    state = "live" if run.about.get("ended") is None else "ended"
    start, end, rest = text.rpartition("</body>")
    return f"{start}{BANNER.format(state)}{end}{rest}".encode()


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of `/`."""

    pages: Pages
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in NAMES and host not in NAMES:
            self._answer(421, b"This page is for a browser on the same machine: ask for 127.0.0.1 or localhost.\n")
        elif self.path.partition("?")[0] != "/":
            self._answer(404, b"There is one page: /\n")
        else:
            self._show()

    do_HEAD = do_GET  # noqa: N815

    def _show(self) -> None:
        try:
            made = self.pages.now()
        except Exception as error:  # whatever it is, the next look may be luckier, and the run is not concerned
            self._answer(503, f"{error}\n".encode(), Refresh="2")
            return
        unchanged = self.headers.get("If-None-Match") == made.tag
        self._answer(304 if unchanged else 200, b"" if unchanged else made.body, **HEADERS, ETag=made.tag)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def main(arguments: list[str]) -> None:
    """The socket's number, the folder. Serves until stdin ends."""
    os.nice(10)  # the load comes first
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = type(server.socket)(fileno=int(arguments[0]))
    Handler.pages = Pages(Path(arguments[1]), os.getppid())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main(sys.argv[1:])
