"""The load tests of a Canary's webhooks: command lines of hey, wrk and ghz, read as their tools read them.

Pure. What is no option of ours is handed back as `left`, so that it can be said.

    hey -z 1m -q 10 -c 2 -m POST -d '{"a":1}' -H 'x: y' -host shop.example http://podinfo-canary.test:9898/
    wrk -t 2 -c 10 -d 60s -R 100 --header 'x: y' http://podinfo.test/        (-R is wrk2's)
    ghz --insecure --rps 50 -z 1m --call pkg.Service.Method podinfo-canary.test:9898
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.spec import Canary, Hook

HEY_WORKERS = 50
HEY_REQUESTS = 200
"""hey's own defaults: -c and -n (github.com/rakyll/hey README)."""
DEFAULT_SECONDS = 60.0
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")

HEY = {
    "-z": "seconds", "-q": "each", "-c": "workers", "-n": "count", "-m": "method", "-H": "header", "-d": "body",
    "-T": "type", "-A": "accept", "-host": "host", "-D": "?", "-t": "?", "-a": "?", "-x": "?", "-o": "?", "-cpus": "?",
}  # fmt: skip
WRK = {
    "-d": "seconds", "--duration": "seconds", "-R": "rate", "--rate": "rate", "-H": "header", "--header": "header",
    "-c": "workers", "--connections": "workers", "-t": "", "--threads": "", "-s": "?", "--script": "?",
    "--timeout": "?",
}  # fmt: skip
GHZ = {
    "-z": "seconds", "--duration": "seconds", "-r": "rate", "--rps": "rate", "-q": "rate", "--call": "call",
    "-c": "workers", "--concurrency": "workers", "-n": "count", "--total": "count", "-d": "?", "--data": "?",
    "-m": "?", "--metadata": "?", "--proto": "", "-i": "", "--import-paths": "", "--protoset": "", "--connections": "",
    "-t": "", "--timeout": "", "--tags": "", "--name": "",
}  # fmt: skip
TOOLS: Mapping[str, Mapping[str, str]] = {"hey": HEY, "wrk": WRK, "wrk2": WRK, "ghz": GHZ}
"""Options that take a value, and what it is to us; `?`: it matters and is not understood."""


@dataclass(frozen=True, kw_only=True)
class Command:
    tool: str
    hook: str
    url: str
    method: str = "GET"
    headers: tuple[str, ...] = ()
    body: str = ""
    rate: float = 0.0
    """Requests a second; 0: as fast as it can."""
    seconds: float = DEFAULT_SECONDS
    left: tuple[str, ...] = ()


def read(canary: Canary) -> list[Command]:
    return [command for hook in canary.analysis.hooks for command in [of(hook)] if command]


def of(hook: Hook) -> Command | None:
    """None: it is no load test, or of another tool."""
    try:
        words = shlex.split(hook.metadata.get("cmd", ""))
    except ValueError:
        return None
    tool = words[0].rpartition("/")[2] if words else ""
    if tool not in TOOLS:
        return None
    told, left, rest = _options(words[1:], TOOLS[tool])
    return _command(tool, hook.name, told, left, rest[-1]) if rest else None


def _options(words: list[str], known: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """By meaning; what matters and is not understood; what is no option."""
    told: dict[str, list[str]] = {}
    left: list[str] = []
    rest: list[str] = []
    for word, value in _pairs(words, known):
        meaning = known.get(word)
        if value is None:
            rest += [word] if not word.startswith("-") else []
        elif meaning == "?":
            left += [word, shlex.quote(value)]
        elif meaning:
            told.setdefault(meaning, []).append(value)
    return told, left, rest


def _pairs(words: list[str], known: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.partition("=")
        if name.startswith("-") and equals and name in known:
            yield name, value
        else:
            yield word, next(remaining, "") if word in known else None


def _command(tool: str, hook: str, told: dict[str, list[str]], left: list[str], address: str) -> Command:
    last = {meaning: values[-1] for meaning, values in told.items()}
    rate = _number(last.get("rate")) or _number(last.get("each")) * (_number(last.get("workers")) or HEY_WORKERS)
    headers = [*told.get("header", []), *(f"content-type: {kind}" for kind in told.get("type", []))]
    headers += [f"accept: {kind}" for kind in told.get("accept", [])]
    return Command(
        tool=tool,
        hook=hook,
        url=_url(tool, address, last),
        method=last.get("method", "POST" if tool == "ghz" else "GET"),
        headers=tuple(headers),
        body=last.get("body", ""),
        rate=rate,
        seconds=_seconds(last, rate),
        left=tuple(left),
    )


def _url(tool: str, address: str, last: Mapping[str, str]) -> str:
    if tool == "ghz":
        service, _, method = last.get("call", "").replace("/", ".").rpartition(".")
        return f"grpc://{address}/{service}/{method}"
    if host := last.get("host"):  # the name that the gateway knows; the address is that of the gateway
        scheme, _, rest = address.partition("://")
        return f"{scheme}://{host}/{rest.partition('/')[2]}"
    return address


def _seconds(last: Mapping[str, str], rate: float) -> float:
    if "seconds" in last:
        parts = _PART.findall(last["seconds"])
        return sum(float(number) * _UNITS[unit] for number, unit in parts) or _number(last["seconds"])
    count = _number(last.get("count"))
    return count / rate if count and rate else DEFAULT_SECONDS


def _number(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
