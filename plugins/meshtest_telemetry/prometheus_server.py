"""A Prometheus of our own: found, configured, started on a free port, awaited, ended - with us in any case."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from meshtest.errors import ProcessFailed, ProviderError, UsageError
from meshtest.lib import wait
from meshtest_telemetry.prometheus_client import Client

HOST = "127.0.0.1"
ATTEMPTS = 5
"""Somebody else may be given the port between our choice and the start; not five times in a row."""
ENDING = 5.0
"""Seconds for it to end by itself; it needs some 10 ms."""

CONFIG = """\
# Nothing is scraped from here: meshtest scrapes, each second and before each query, and hands the samples over.
global:
  scrape_interval: 1s
"""


def binary(configured: str = "") -> str:
    """The configured path, else the one in PATH; UsageError says how to get one."""
    found = shutil.which(configured or "prometheus")
    if found:
        return found
    where = f"at {configured!r} (setting prometheus)" if configured else "in PATH"
    raise UsageError(
        f"PromQL needs the program `prometheus`, and there is none {where}: apt install prometheus, or set prometheus "
        "to a binary or a URL; mesh.success_rate(...) and mesh.duration(...) need none"
    )


class Server:
    """Ready when it is made."""

    def __init__(self, folder: Path, configured: str = "", *, within: float) -> None:
        self._binary, self._within = binary(configured), within
        self._data = (folder / "prometheus").absolute()
        self._config = self._data / "prometheus.yml"
        self._log = folder / "prometheus.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._data.mkdir(parents=True, exist_ok=True)
        self._config.write_text(CONFIG)
        for attempt in range(ATTEMPTS):
            if self._try(_free_port(), last=attempt == ATTEMPTS - 1):
                return

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def _try(self, port: int, *, last: bool) -> bool:
        """False if somebody else has the port."""
        self.url = f"http://{HOST}:{port}"
        begins = self._log.stat().st_size if self._log.exists() else 0
        self._process = self._launch(port)
        try:
            wait.until(self._answers_or_ended, within=self._within, what=lambda: "", every=0.01)
        except TimeoutError:
            self.close()
            raise ProcessFailed(
                f"Prometheus is not ready after {self._within:g} s:{self._last_words(begins)}"
            ) from None
        except BaseException:
            self.close()
            raise
        if self._process.poll() is None:
            return True
        words = self._last_words(begins)
        if last or "address already in use" not in words:
            raise ProcessFailed(f"Prometheus ended before it was ready (code {self._process.returncode}):{words}")
        return False

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        """From a thread that lives as long as it runs: the kernel ties it to the thread, not to the process."""
        started: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()

        def run() -> None:
            try:
                process = self._popen(port)
            except OSError as error:
                started.put(error)
                return
            started.put(process)
            process.wait()

        threading.Thread(target=run, name="prometheus", daemon=True).start()
        found = started.get()
        if isinstance(found, OSError):
            raise ProcessFailed(f"cannot start {self._binary}: {found.strerror}")
        return found

    def _popen(self, port: int) -> subprocess.Popen[bytes]:
        launcher = Path(__file__).with_name("prometheus_launcher.py")
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(launcher), str(os.getpid()), self._binary, *self._flags(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"GOMAXPROCS": "1"},  # beside proxies and loads it has no core to itself
                start_new_session=True,  # Ctrl-C is for the runner, which ends it in order
            )

    def _flags(self, port: int) -> list[str]:
        return [
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._data}",
            "--storage.tsdb.retention.time=100y",  # a run that is looked at years later still has its series
            f"--web.listen-address={HOST}:{port}",
            "--web.enable-remote-write-receiver",
            "--log.level=info",
        ]

    def _answers_or_ended(self) -> bool:
        """It is ours that answers, not who has taken the port."""
        assert self._process
        if self._process.poll() is not None:
            return True
        try:
            client = Client(self.url, timeout=0.5)  # whoever has our port may never answer
            if client.request("GET", "/-/ready")[0] != 200:
                return False
            return str(client.get("status/flags").get("storage.tsdb.path")) == str(self._data)
        except (ProviderError, UsageError):
            return False

    def ended(self) -> str:
        """How it came to its end; "" if it runs."""
        if self._process is None or self._process.poll() is None:
            return ""
        return f"code {self._process.returncode}{self._last_words(0)}"

    def _last_words(self, since: int, lines: int = 3) -> str:
        with contextlib.suppress(OSError):
            text = self._log.read_bytes()[since:].decode(errors="replace")
            return "".join(f"\n  | {line}" for line in text.splitlines()[-lines:])
        return ""

    def close(self) -> None:
        """In order, so that what it holds is written; by force if that takes too long."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        return int(holder.getsockname()[1])
