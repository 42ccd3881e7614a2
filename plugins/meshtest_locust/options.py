"""What `mesh.load(locustfile=...)` may say, checked before anything starts; and Locust's command line made of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import nearest

WEB_PORT = 8089
MASTER_PORT = 5557
_NOT_OURS = {
    "rps": "Locust's users wait for answers, so there is no rate to set: give users, or use the prober",
    "timeout": "the locustfile's own timeouts hold",
    "headers": "the locustfile sets the headers",
    "body": "the locustfile sets the bodies",
    "k6": "one load has one generator",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Named as on Locust's command line where it has them."""

    locustfile: str | Path | Sequence[str | Path]
    """A file, several, or a folder of them."""
    users: int | None = None
    """At most so many at a time (default 1); a LoadTestShape decides for itself."""
    spawn_rate: float | None = None
    """Users that start in a second; default: all within the first second, at most 100."""
    seconds: float | None = None
    """Run time, from the first request."""
    requests: int | None = None
    """End when at least so many have ended; those under way then are let end."""
    processes: int = 0
    """Workers on this machine; 0: one process that is no worker."""
    expect_workers: int = 0
    """Workers that somebody starts elsewhere: python -m meshtest_locust.worker --master HOST:PORT."""
    bind: str | int = ""
    """HOST:PORT, or a port, where workers elsewhere reach us; default *:5557."""
    workers_within: float = 60.0
    """Seconds for the workers to come; then LoadError."""
    classes: Sequence[str] = ()
    """User classes to run; default: all of the file."""
    tags: Sequence[str] = ()
    exclude_tags: Sequence[str] = ()
    host: str = ""
    """In place of the hosts of the user classes. Wherever it points, connections go to the entrance of the mesh."""
    stop_timeout: float = 5.0
    """Seconds that users have at the end to finish the task they are at."""
    web_ui: bool | int = False
    """Locust's own, on 127.0.0.1; True: port 8089."""
    arguments: Sequence[str] = ()
    """More for Locust's command line, as the locustfile's own (`events.init_command_line_parser`)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the processes of Locust."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """UsageError says which option is wrong, and what is allowed."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name in _NOT_OURS:
                raise UsageError(f"mesh.load(locustfile=...) has no option {name!r}: {_NOT_OURS[name]}")
            if name not in known:
                hint = f" (did you mean {near!r}?)" if (near := nearest(name, known)) else ""
                raise UsageError(f"mesh.load(locustfile=...) has no option {name!r}{hint}; it has {', '.join(known)}")
        made = cls(**given)
        made._check()
        return made

    def _check(self) -> None:
        for file in self.files:
            if not file.exists():
                raise UsageError(f"locustfile {str(file)!r} is not there; paths count from {Path.cwd()}")
        _whole(1, users=self.users, requests=self.requests)
        _whole(0, processes=self.processes, expect_workers=self.expect_workers)
        _above_zero(spawn_rate=self.spawn_rate, seconds=self.seconds, workers_within=self.workers_within)
        for name in ("classes", "tags", "exclude_tags", "arguments"):
            if isinstance(getattr(self, name), str):
                raise UsageError(f"{name} is {getattr(self, name)!r}; it must be a list of strings")
        if not 0 <= self.stop_timeout < float("inf"):
            raise UsageError(f"stop_timeout is {self.stop_timeout!r}; it must be 0 or more seconds")
        if self.host and not self.host.startswith(("http://", "https://")):
            raise UsageError(f"host {self.host!r}: write http://HOST or https://HOST")
        self._check_ports()

    def _check_ports(self) -> None:
        if self.web_port is not None:
            _free("web_ui", "127.0.0.1", self.web_port)
        if self.expect_workers:
            _free("bind", *self.address)
        elif self.bind:
            raise UsageError(f"bind={self.bind!r} is for workers elsewhere: say how many with expect_workers=N")

    # ---- what it means

    @property
    def files(self) -> list[Path]:
        given = [self.locustfile] if isinstance(self.locustfile, str | Path) else self.locustfile
        return [Path(file).absolute() for file in given]

    @property
    def distributed(self) -> bool:
        return bool(self.processes or self.expect_workers)

    @property
    def web_port(self) -> int | None:
        if self.web_ui is False:
            return None
        return WEB_PORT if self.web_ui is True else int(self.web_ui)

    @property
    def address(self) -> tuple[str, int]:
        """Where the master listens; for workers of this machine only, any port of the loopback."""
        if not self.expect_workers:
            return "127.0.0.1", 0
        host, _, port = str(self.bind or f"*:{MASTER_PORT}").rpartition(":")
        if not port.isdecimal() or not 0 <= int(port) < 65536:
            raise UsageError(f"bind {self.bind!r}: write HOST:PORT, or a port")
        return host or "*", int(port)

    @property
    def command_line(self) -> list[str]:
        """Locust's. Class names come before the tags, which take all the words that follow."""
        users = self.users or 1
        line = ["-u", str(users), "-r", str(self.spawn_rate or min(users, 100))]
        line += ["--exit-code-on-error", "0", "--only-summary"]
        line += [*self._web_line(), *self._master_line(), *(["--host", self.host] if self.host else [])]
        return [*self.worker_line, *line, *self.arguments]

    @property
    def worker_line(self) -> list[str]:
        """What workers of this machine are told too; the rest comes to them from the master."""
        return [*self._file_line(), *self.classes, *self._tag_line()]

    def _file_line(self) -> list[str]:
        return ["-f", ",".join(map(str, self.files))]

    def _tag_line(self) -> list[str]:
        line: list[str] = []
        for option, values in (("--tags", self.tags), ("--exclude-tags", self.exclude_tags)):
            line += [option, *values] if values else []
        return line

    def _web_line(self) -> list[str]:
        if self.web_port is None:
            return ["--headless"]
        return ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(self.web_port)]

    def _master_line(self) -> list[str]:
        if not self.distributed:
            return []
        host, port = self.address
        expected = str(self.processes + self.expect_workers)
        line = ["--master", "--master-bind-host", host, "--master-bind-port", str(port)]
        return [*line, "--expect-workers", expected, "--enable-rebalancing"]


def _whole(least: int, **values: Any) -> None:
    for name, value in values.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise UsageError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def _above_zero(**values: Any) -> None:
    for name, value in values.items():
        if value is not None and (not isinstance(value, int | float) or not 0 < value < float("inf")):
            raise UsageError(f"{name} is {value!r}; it must be above 0")


def _free(option: str, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if host == "*" else host.strip("[]"), port))
        except (OSError, OverflowError) as error:
            raise UsageError(f"{option}: {host}:{port} cannot be had ({error}); choose another port") from None
