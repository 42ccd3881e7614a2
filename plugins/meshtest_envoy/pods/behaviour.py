"""How a stand-in behaves: annotations of its pod, and chances that are the same in each run with the same seed.

 meshtest.dev/calls           URLs called for each request, one after the other, through the pod's proxy
 meshtest.dev/calls-required  "false": a failed call is told in the answer, which stays 200 (default "true": 502)
 meshtest.dev/calls-times     "10": each of these calls is made so many times, one after the other
 meshtest.dev/calls-retries   "3": a call that failed is made again at once, up to so many times
 meshtest.dev/delay           "20ms" before each answer, or "20ms±5ms" (also "20ms+-5ms"), evenly spread; "80ms 2%":
                              before that part of them; several, between semicolons, add up: "20ms; 80ms 2%"
 meshtest.dev/errors          "503:10" or "503:10,500:0.5": percent of the requests that get this status;
                              "503:100 path=/checkout": of those at this path and below; "500:50 header=x-plan:gold", or
                              header=x-plan whatever its value. Of several, between semicolons, the first that fits
 meshtest.dev/capacity        "100rps": requests over it are answered 503; a quarter of a second of it is saved up
 meshtest.dev/ready-after     "300ms": until then every request, probes too, is answered 503; "never"
 meshtest.dev/crash-after     "100": the request after the 100th ends the process, unanswered, with exit code 1
 meshtest.dev/back-off        "500ms": the first pause of its CrashLoopBackOff, in place of 10s; of programs, too
 meshtest.dev/leak            "256Ki of 16Mi": each request keeps so much memory for ever; the one that goes over the
                              limit ends the process as the kernel does: unanswered, exit code 137, OOMKilled
 meshtest.dev/wrong-content   "10": percent of the answers that would be right, whose body is not what was asked for
 meshtest.dev/lose-headers    "content-type, x-a": headers that its answers lack (of gRPC: any but content-type)
 meshtest.dev/drain           on SIGTERM: "graceful" (default), "abrupt" or "ignore"; see drain.py
 meshtest.dev/propagate       "false": do not pass tracing and x-* headers on to called services
 meshtest.dev/drop-headers    "traceparent": headers that are not passed on, though it should: a broken trace
 meshtest.dev/spans           "redis GET 5ms; stripe charge 30ms error:10": each request takes this work too, told to
                              the run's collector in spans below one of its own; `error`, or in that percent of them,
                              does not change the answer. "": only its own
 meshtest.dev/log             "true": one line of JSON a request in the pod's log, mirrored ones too
 prometheus.io/scrape         "true": metrics of its own at /metrics; see app_metrics.py
 meshtest.dev/server-first    "true": on a port of protocol tcp, say who we are before the client has said anything

A call is `[METHOD] URL`, the URL being http://, http2:// (prior knowledge) or grpc://HOST:PORT/package.Service/Method.
Delays, errors, leaks and crashes are the same for each protocol: of gRPC an error becomes a grpc-status, of TCP a
reset. The path of a gRPC call is /package.Service/Method; a connection of TCP has neither a path nor headers.

One request can override, in its query:

 ?delay=100ms  ?codes=500:1,200:9 (status:weight)  ?headers=k:v,k2:v2 (of the answer)      as with Istio's echo
 ?responseCode=500&succeedAfter=2&uuid=U    the first two attempts fail     as with Gateway API's conformance echo
 header x-echo-set-header: k:v,k2:v2        headers of the answer           likewise

Probes (user agent `kube-probe/...`) see ready-after only, and are not counted.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from math import inf
from typing import NamedTuple

PREFIX = "meshtest.dev/"
READ = (PREFIX, "prometheus.io/")
"""How annotations begin that a stand-in reads."""
KNOWN = (
    "calls", "calls-required", "calls-times", "calls-retries", "delay", "errors", "capacity", "ready-after",
    "crash-after", "leak", "wrong-content", "lose-headers", "drain", "propagate", "log", "server-first",
    "drop-headers", "spans",
)  # fmt: skip
OTHERS = ("back-off", "command", "fault", "ignore", "matches", "rps")
"""Annotations that others read."""
DRAINS = ("graceful", "abrupt", "ignore")
OOM_KILLED = 137
"""Exit code of a process that leaked all its memory: 128 + SIGKILL, as a kubelet tells it."""
LEAK_LIMIT = 256 * 1024**2
"""Bytes that a stand-in may leak before it ends: they are real, and of the machine that the tests run on."""

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_METHOD = re.compile(r"[A-Z]+")
_URL = re.compile(r"(?:http2?://[^/\s]+(/\S*)?|grpc://[^/\s]+/[^/\s]+/[^/\s]+)")
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WORK = re.compile(r"(\S.*?)\s+([\d.]+[a-zµ]+)(?:\s+(error)(?::(\d+(?:\.\d+)?)%?)?)?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)")
_SIZES = {"Ki": 1024, "Mi": 1024**2}

Weights = tuple[tuple[int, float], ...]
"""(status, weight) pairs."""


class BadAnnotation(ValueError):
    """An annotation, or a parameter of a request, has no meaning; the text says what is allowed."""


class Delay(NamedTuple):
    """Seconds before the answer, give or take."""

    seconds: float = 0.0
    spread: float = 0.0
    percent: float = 100.0
    """Of the requests."""

    def at(self, chance: float) -> float:
        return max(0.0, self.seconds + self.spread * (2 * chance - 1))


class Errors(NamedTuple):
    """Statuses of the requests within a scope."""

    statuses: Weights
    """Percentages; the rest of 100 is 200."""
    path: str = ""
    """This one and those below; empty: all."""
    header: str = ""
    """In lower case; empty: with any headers."""
    value: str = ""
    """Empty: any."""

    def fit(self, target: str, headers: Mapping[str, str]) -> bool:
        if self.header and not (headers.get(self.header) == self.value if self.value else self.header in headers):
            return False
        path = target.partition("?")[0]
        return not self.path or path == self.path or path.startswith(self.path.rstrip("/") + "/")


class Leak(NamedTuple):
    """Bytes a request, and the bytes at which the process ends."""

    request: int
    limit: int


class Work(NamedTuple):
    """A span that is told for each request."""

    name: str
    seconds: float
    errors: float = 0.0
    """Percent of them."""


class Behaviour(NamedTuple):
    """What the annotations say."""

    calls: tuple[str, ...] = ()
    calls_required: bool = True
    calls_times: int = 1
    calls_retries: int = 0
    delays: tuple[Delay, ...] = ()
    """They add up."""
    errors: tuple[Errors, ...] = ()
    """The first that fits counts."""
    capacity: float | None = None
    """Requests a second."""
    ready_after: float = 0.0
    crash_after: int | None = None
    leak: Leak | None = None
    wrong_content: float = 0.0
    """Percent."""
    lose_headers: tuple[str, ...] = ()
    """In lower case."""
    drain: str = "graceful"
    propagate: bool = True
    log: bool = False
    server_first: bool = False
    drop_headers: tuple[str, ...] = ()
    """In lower case."""
    spans: tuple[Work, ...] | None = None
    """None: it tells no spans."""


class Wish(NamedTuple):
    """What one request asks for itself; None is as annotated."""

    delay: Delay | None = None
    codes: Weights | None = None
    headers: tuple[tuple[str, str], ...] = ()
    fail_status: int = 200
    fail_first: int = 0
    """Attempts that get `fail_status`."""
    uuid: str = ""


def read(annotations: Mapping[str, str], calls: tuple[str, ...] = ()) -> Behaviour:
    """The annotations of one pod; `calls` (of the settings) count where it has no such annotation."""
    told = {name: annotations[PREFIX + name].strip() for name in KNOWN if PREFIX + name in annotations}
    _refuse_misspelt(annotations)
    try:
        return Behaviour(
            calls=_calls(told["calls"].replace(",", " ").split() if "calls" in told else calls),
            calls_required=_boolean("calls-required", told.get("calls-required", "true")),
            calls_times=_count("calls-times", told.get("calls-times", "1")),
            calls_retries=_count("calls-retries", told.get("calls-retries", "0")),
            delays=tuple(map(delay, _parts(told.get("delay", "")))),
            errors=tuple(map(_errors, _parts(told.get("errors", "")))),
            capacity=_rate(told["capacity"]) if "capacity" in told else None,
            ready_after=inf if told.get("ready-after") == "never" else seconds(told.get("ready-after", "0ms")),
            crash_after=_count("crash-after", told["crash-after"]) if "crash-after" in told else None,
            leak=_leak(told["leak"]) if "leak" in told else None,
            wrong_content=_percent("wrong-content", told.get("wrong-content", "0")),
            lose_headers=_names(told.get("lose-headers", "")),
            drain=_one_of("drain", told.get("drain", "graceful"), DRAINS),
            propagate=_boolean("propagate", told.get("propagate", "true")),
            log=_boolean("log", told.get("log", "false")),
            server_first=_boolean("server-first", told.get("server-first", "false")),
            drop_headers=_names(told.get("drop-headers", "")),
            spans=_spans(told["spans"]) if "spans" in told else None,
        )
    except BadAnnotation as error:
        raise BadAnnotation(f"annotation {PREFIX}{error}") from None


def _refuse_misspelt(annotations: Mapping[str, str]) -> None:
    """What looks like one of ours and is none would be a fault that never comes."""
    told = {key.removeprefix(PREFIX) for key in annotations if key.startswith(PREFIX)}
    for name in sorted(told - {*KNOWN, *OTHERS}):
        from difflib import get_close_matches  # slow to import, and slips are rare

        for close in get_close_matches(name, KNOWN, n=1):
            raise BadAnnotation(f"annotation {PREFIX}{name} means nothing; did you mean {PREFIX}{close}?")


def wish(target: str) -> Wish:
    """The query of a request target."""
    told = _query(target)
    made = Wish(
        delay=delay(told["delay"]) if "delay" in told else None,
        codes=weights(told["codes"]) if "codes" in told else None,
        headers=headers(told.get("headers", "")),
    )
    if "succeedAfter" not in told:
        return made
    status, first = told.get("responseCode", ""), told["succeedAfter"]
    if not (first.isdigit() and status.isdigit() and 200 <= int(status) <= 599):
        raise BadAnnotation(f"succeedAfter: {first!r} is not a number, or responseCode: {status!r} not 200 to 599")
    return made._replace(fail_status=int(status), fail_first=int(first), uuid=told.get("uuid", ""))


def headers(text: str) -> tuple[tuple[str, str], ...]:
    """`k:v,k2:v2`; those of one name are joined."""
    made: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, value = part.partition(":")
        if not colon or not _FIELD.fullmatch(name) or not value.isprintable():
            raise BadAnnotation(f"headers: {part!r} is not NAME:VALUE")
        made[name] = f"{made[name]},{value.strip()}" if name in made else value.strip()
    return tuple(made.items())


def seconds(text: str, name: str = "ready-after") -> float:
    """`300ms`, `1.5s`, `1m30s`; a bare number has no unit and is refused, except 0."""
    found = _DURATION.findall(text)
    if text != "0" and (not found or "".join(number + unit for number, unit in found) != text):
        raise BadAnnotation(f"{name}: {text!r} is not a duration; write 300ms, 1.5s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def delay(text: str) -> Delay:
    """`20ms`, `20ms±5ms` or `20ms 2%`."""
    length, _, share = text.strip().partition(" ") if text.rstrip().endswith("%") else (text, "", "")
    middle, _, spread = length.replace("+-", "±").partition("±")
    return Delay(
        seconds(middle.strip(), "delay"),
        seconds(spread.strip(), "delay") if spread else 0.0,
        _percent("delay", share) if share else 100.0,
    )


def weights(text: str, name: str = "codes") -> Weights:
    """`500:1,200:9`; a status alone has weight 1."""
    made = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        code, _, weight = part.partition(":")
        try:
            made.append((int(code), float(weight.rstrip("%") or 1)))
        except ValueError:
            raise BadAnnotation(f"{name}: {part!r} is not STATUS:WEIGHT, as in 503:10") from None
    if any(not 200 <= code <= 599 or not 0 <= weight < inf for code, weight in made):
        raise BadAnnotation(f"{name}: {text!r} needs statuses from 200 to 599 and weights from 0")
    return tuple(made)


def pick(choices: Weights, chance: float, total: float | None = None) -> int:
    """The status that `chance` (0 to 1) falls on; 200 beyond the weights if they are parts of `total`."""
    left = chance * (sum(weight for _, weight in choices) if total is None else total)
    for code, weight in choices:
        left -= weight
        if left < 0:
            return code
    return 200 if total is not None or not choices else choices[-1][0]


def chance(seed: int, *what: str) -> float:
    """Evenly spread in [0, 1), the same for the same words (unlike hash(), and without importing hashlib)."""
    text = "\0".join(what).encode()
    mixed = (zlib.crc32(text) << 32 | zlib.crc32(text, 0x9E3779B9)) + seed * 0x9E3779B97F4A7C15
    for factor, shift in ((0xBF58476D1CE4E5B9, 30), (0x94D049BB133111EB, 27)):  # the finaliser of splitmix64
        mixed = ((mixed ^ (mixed & 0xFFFFFFFFFFFFFFFF) >> shift) * factor) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 31) / 2**64


def _calls(told: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Words to calls: a method belongs to the URL after it."""
    made = []
    words = iter(" ".join(told).split())
    for word in words:
        method, url = (f"{word} ", next(words, "")) if _METHOD.fullmatch(word) else ("", word)
        if not _URL.fullmatch(url):
            raise BadAnnotation(
                f"calls: {url or word!r} is not a URL; write http://HOST:PORT/PATH (TLS is the mesh's matter), "
                "http2://HOST:PORT/PATH or grpc://HOST:PORT/package.Service/Method, with a method before it if not GET"
            )
        if method and url.startswith("grpc://"):
            raise BadAnnotation(f"calls: {method}{url}: the method of gRPC is always POST; leave it out")
        made.append(method + url)
    return tuple(made)


def _spans(text: str) -> tuple[Work, ...]:
    return tuple(_work(part) for part in text.replace("\n", ";").split(";") if part.strip())


def _work(text: str) -> Work:
    """`redis GET 5ms`, `stripe charge 30ms error:10`"""
    found = _WORK.fullmatch(text.strip())
    if not found:
        raise BadAnnotation(f"spans: {text.strip()!r} is not NAME DURATION [error[:PERCENT]], as in redis GET 5ms")
    name, length, errors, percent = found.groups()
    return Work(name, seconds(length, "spans"), float(percent or 100) if errors else 0.0)


def _parts(text: str) -> list[str]:
    """What is between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.lower().replace(",", " ").split())


def _errors(text: str) -> Errors:
    """`503:10,500:0.5 path=/checkout header=x-plan:gold`, the scope being optional."""
    statuses, *scope = text.replace(", ", ",").split()
    made = Errors(_percentages(statuses))
    for word in scope:
        name, _, value = word.partition("=")
        if name == "path" and value.startswith("/"):
            made = made._replace(path=value)
        elif name == "header" and _FIELD.fullmatch(value.partition(":")[0]):
            header, _, value = value.partition(":")
            made = made._replace(header=header.lower(), value=value)
        else:
            raise BadAnnotation(f"errors: {word!r} is none of path=/PATH, header=NAME, header=NAME:VALUE")
    return made


def _percentages(text: str) -> Weights:
    found = weights(text, "errors")
    if sum(weight for _, weight in found) > 100:
        raise BadAnnotation(f"errors: {text!r} adds up to more than 100 percent")
    return found


def _leak(text: str) -> Leak:
    """`256Ki of 16Mi`"""
    each, _, most = text.partition(" of ")
    made = Leak(_size(each.strip()), _size(most.strip()))
    if not 0 < made.request <= made.limit <= LEAK_LIMIT:
        raise BadAnnotation(f"leak: {text!r} is not SIZE of LIMIT, as 256Ki of 16Mi, with a limit up to 256Mi")
    return made


def _size(text: str) -> int:
    """Bytes, 0 where it means nothing."""
    number, unit = text[:-2], text[-2:]
    return int(number) * _SIZES[unit] if number.isdigit() and unit in _SIZES else 0


def _rate(text: str) -> float:
    number = text.removesuffix("rps").strip()
    if not text.endswith("rps") or not number.replace(".", "", 1).isdigit() or not float(number):
        raise BadAnnotation(f"capacity: {text!r} is not a number of requests a second, as 100rps")
    return float(number)


def _percent(name: str, text: str) -> float:
    number = text.strip().removesuffix("%")
    if not number.replace(".", "", 1).isdigit() or float(number) > 100:
        raise BadAnnotation(f"{name}: {text.strip()!r} is not a percentage from 0 to 100")
    return float(number)


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        what = "requests" if name == "crash-after" else "calls"
        raise BadAnnotation(f"{name}: {text!r} is not a number of {what}")
    return int(text)


def _boolean(name: str, text: str) -> bool:
    return _one_of(name, text.lower(), ("true", "false")) == "true"


def _one_of(name: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise BadAnnotation(f"{name}: {text!r} is none of {', '.join(known)}")
    return text


def _query(target: str) -> dict[str, str]:
    """The last value of each parameter. Percent-encoding matters for `:`, `,` and `±` only."""
    pairs = (part.partition("=") for part in target.partition("?")[2].split("&"))
    return {name: _unquote(value) for name, _, value in pairs}


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    first, *rest = text.encode("latin-1").split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode("utf-8", "replace")
    except ValueError:
        return text
