"""A trace: what became of one request, as a tree of calls, each made of the spans that tell of it.

    gateway ── via: its span, one more a try ──► web@v2 ── entry: its proxy's ingress span, own: what it tells itself
                                                    └─ via: egress spans of web's proxy ──► price@v1 ── entry ...

    trace.path == ["gateway", "web@v2", "price@v1"]
    trace["price@v1"].fault == "delay"

A trace is *complete* by rule, never by waiting for a while: its root has ended, the parent of every span is there, and
each try that a proxy sent has its peer's ingress span, or response flags say why not. `missing` says what is not there.

Pure. Not here: which request it is of and which traces broke (traces.py, propagation.py), waiting (mesh/traces.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from meshtest.errors import UsageError
from meshtest.lib.figures import seconds
from meshtest.lib.words import listed, nearest, plural
from meshtest.model import proxy_span
from meshtest.model.proxy_span import EXPLAIN, FAULTS, code, failed, flags, label, number, short, side
from meshtest.model.request import UNKNOWN_SERVER, Server
from meshtest.model.span import Span


class Call:
    """One request from a caller to a service; all tries of it together."""

    def __init__(self, parent: Call | None = None) -> None:
        self.parent = parent
        """The call in which the caller made this one; None at the root."""
        self.children: list[Call] = []
        """Calls that the service made meanwhile, in order of time."""
        self.via: list[Span] = []
        """Of the caller's proxy: the whole request first, then its tries."""
        self.entries: list[Span] = []
        """Where a try came in: a span of the service's proxy, or its own if it has none. Of a gateway, its span."""
        self.own: list[Span] = []
        """What else the service and its proxy tell."""
        if parent is not None:
            parent.children.append(self)

    @property
    def spans(self) -> list[Span]:
        return [*self.via, *self.entries, *self.own]

    @property
    def service(self) -> str:
        """`web`; a gateway is `gateway`."""
        return short(self.entries[-1]) if self.entries else self._chosen.service

    @property
    def host(self) -> str:
        """The service as its caller named it, by its first label; `service` is what its pods are labelled as."""
        return self._chosen.service

    @property
    def version(self) -> str:
        """Of who answered: the last try's."""
        return (self.entries[-1].version if self.entries else "") or self._chosen.version

    @property
    def pod(self) -> str:
        return (self.entries[-1].pod if self.entries else "") or self._chosen.pod

    @property
    def _chosen(self) -> Server:
        known = (proxy_span.chosen(span) for span in reversed(self.via))
        return next((server for server in known if server.service), UNKNOWN_SERVER)

    @property
    def label(self) -> str:
        """`web@v2`"""
        return label(self.service, self.version)

    @property
    def reached(self) -> bool:
        """Some try came in at the service; else the caller's proxy answered (`flags` say why)."""
        return bool(self.entries)

    @property
    def gateway(self) -> bool:
        return bool(self.entries) and side(self.entries[0]) == "gateway"

    @property
    def start(self) -> float:
        return min(span.start for span in self.spans)

    @property
    def end(self) -> float:
        return max(span.end for span in (self.via[:1] or self.entries or self.spans))

    @property
    def seconds(self) -> float:
        """As its caller's proxy saw it; without one, as its own did."""
        return self.end - self.start

    @property
    def own_seconds(self) -> float:
        """What is left without the calls it made: for this the service is to blame, or a fault in its way."""
        covered, last = 0.0, self.start
        for child in sorted(self.children, key=lambda child: child.start):
            begin, end = max(child.start, last), min(child.end, self.end)
            if end > begin:
                covered, last = covered + end - begin, end
        return self.seconds - covered

    @property
    def retries(self) -> int:
        """Tries beyond the first."""
        tries = [span for span in self.via if span.kind == "client"]
        told = max((number(span, "retry.count") for span in tries), default=0)
        counted = max((number(span, proxy_span.ATTEMPTS) for span in self.via), default=0)
        return max(told, counted - 1, len(tries) - 1, len(self.entries) - 1, 0)

    @property
    def flags(self) -> frozenset[str]:
        """Envoy's response flags, of both proxies."""
        told = self.via if self.gateway else [*self.via, *self.entries]
        return frozenset().union(*(flags(span) for span in told if span.source == "proxy"))

    @property
    def fault(self) -> str:
        """`delay` or `abort` if a fault was injected on the way to it or in it; "" if none was."""
        return " and ".join(word for flag, word in FAULTS.items() if flag in self.flags)

    @property
    def code(self) -> int:
        """The HTTP status its caller got."""
        return code((self.via or self.entries or self.own)[0])

    @property
    def errors(self) -> list[Span]:
        """Spans of the call that failed."""
        return [span for span in self.spans if failed(span)]

    @property
    def status(self) -> str:
        """`error` if the caller got one or any span tells of one; a try that was made good by a retry is none."""
        last = self.entries[-1:]
        settled = [*self.via[:1], *last, *(span for span in self.own if not last or span.start >= last[0].start)]
        return "error" if any(failed(span) for span in settled) else "ok"

    def walk(self) -> Iterator[Call]:
        """This one, and all below it, each before what it called."""
        waiting = [self]
        while waiting:
            call = waiting.pop()
            yield call
            waiting += reversed(call.children)

    def is_of(self, target: str) -> bool:
        """`web`, or `web@v2`: also of a try that did not give the answer."""
        service, _, version = target.partition("@")
        if service not in (self.service, self.host):
            return False
        return version in ("", self.version, *(entry.version for entry in self.entries))

    def __str__(self) -> str:
        remarks = [self.fault] if self.fault else []
        remarks += [plural(self.retries, "retry").replace("retrys", "retries")] if self.retries else []
        remarks += [f"{self.code or 'error'} {' '.join(sorted(self.flags))}".strip()] if self.status == "error" else []
        remarks += [] if self.reached else ["not reached"]
        return f"{self.label or '?'} {seconds(self.seconds)}" + (f" ({', '.join(remarks)})" if remarks else "")

    def __repr__(self) -> str:
        return f"<Call {self}>"


class Trace:
    """All spans of one trace id that have come. `print(trace)` draws the tree."""

    def __init__(self, id: str, spans: Sequence[Span] = (), request: str = "", *, of_load: bool = False) -> None:
        self.id = id
        self.request = request
        """The load's id of the request it is of, as `load1-17`; "" if it is of none."""
        self.of_load = of_load
        """The client of that request began it; else it is a piece that broke off, or somebody else's."""
        known: dict[str, Span] = {}
        """By id: who sends spans may send some twice."""
        for span in spans:
            known.setdefault(span.id, span)
        self.spans = sorted(known.values(), key=lambda span: (span.start, -span.end))
        self._known = known

    # ---- the tree

    @cached_property
    def _below(self) -> dict[str, list[Span]]:
        below: dict[str, list[Span]] = {}
        for span in self.spans:
            below.setdefault(span.parent if span.parent in self._known else "", []).append(span)
        return below

    @cached_property
    def roots(self) -> list[Call]:
        """One, if nothing is missing."""
        tops: list[Call] = []
        waiting: list[tuple[Span, Call | None]] = [(span, None) for span in reversed(self._below.get("", []))]
        while waiting:
            span, inside = waiting.pop()
            call = self._place(span, inside)
            if call.parent is None and call not in tops:
                tops.append(call)
            waiting += [(below, call) for below in reversed(self._below.get(span.id, []))]
        return tops

    def _place(self, span: Span, inside: Call | None) -> Call:
        """Puts a span to the call it tells of, which may be a new one inside that of its parent."""
        parent = self._known.get(span.parent)
        match side(span):
            case "gateway":
                return self._at_gateway(span, inside, parent)
            case "outbound":
                call = inside if inside is not None and parent in inside.via else Call(inside)
                call.via.append(span)
                return call
            case "inbound" if span.kind == "server":
                return self._entered(span, inside, parent)
        return self._of_service(span, inside, parent)

    def _at_gateway(self, span: Span, inside: Call | None, parent: Span | None) -> Call:
        """The whole request is a call of the gateway, and the way to what the gateway calls; its tries are that."""
        if inside is not None and inside.children and parent in inside.entries:
            inside.children[0].via.append(span)
            return inside.children[0]
        call = Call(inside)
        call.entries.append(span)
        if self._below.get(span.id) or proxy_span.chosen(span).service:
            Call(call).via.append(span)
        return call

    def _entered(self, span: Span, inside: Call | None, parent: Span | None) -> Call:
        """A try came in. Its parent is the caller's span of that try, or of the whole request."""
        call = inside
        if inside is not None and inside.gateway and parent in inside.entries:
            call = inside.children[0]
        if call is None or parent not in call.via:
            call = Call(inside)
        call.entries.append(span)
        return call

    def _of_service(self, span: Span, inside: Call | None, parent: Span | None) -> Call:
        """A service's own span: an entry only where no proxy stands in front of it."""
        if inside is None:
            call = Call()
            (call.entries if span.kind in ("server", "consumer") else call.own).append(span)
            return call
        bare = parent in inside.via or (
            parent is not None and parent.source != "proxy" and parent.service != span.service
        )
        if span.kind in ("server", "consumer") and bare:
            return self._entered(span, inside, parent)
        inside.own.append(span)
        return inside

    # ---- what a test asserts on

    @property
    def root(self) -> Call:
        """The call of the client; UsageError if no span has come."""
        if not self.roots:
            raise UsageError(f"trace {self.id} has no spans")
        return self.roots[0]

    @property
    def calls(self) -> list[Call]:
        """All of them, each before what it called, siblings in order of time."""
        return [call for root in self.roots for call in root.walk()]

    @property
    def path(self) -> list[str]:
        """What the request reached: `["gateway", "web@v2", "price@v1"]`."""
        return [call.label for call in self.calls if call.reached]

    def __getitem__(self, target: str) -> Call:
        """The first call of `web@v2`, or of `web` whatever its version; UsageError says which there are."""
        found = self.all(target)
        if not found:
            there = list(dict.fromkeys(call.label for call in self.calls))
            hint = nearest(target, there)
            meant = f" (did you mean {hint!r}?)" if hint else ""
            raise UsageError(f"no call of {target!r} in {self._named}; it has: {listed(there) or 'none'}{meant}")
        return found[0]

    def all(self, target: str) -> list[Call]:
        return [call for call in self.calls if call.is_of(target)]

    def __contains__(self, target: str) -> bool:
        return bool(self.all(target))

    @property
    def start(self) -> float:
        return self.spans[0].start if self.spans else 0.0

    @property
    def seconds(self) -> float:
        return max((span.end for span in self.spans), default=0.0) - self.start

    @property
    def errors(self) -> list[Span]:
        """Spans that failed, wherever they are in it."""
        return [span for span in self.spans if failed(span)]

    @property
    def slowest(self) -> Call:
        """The call that took most of the time itself."""
        return max(self.calls, key=lambda call: call.own_seconds, default=self.root)

    @property
    def first(self) -> Span:
        """The earliest span whose parent is not there."""
        return self._below[""][0]

    # ---- completeness

    @property
    def complete(self) -> bool:
        return not self.missing

    @cached_property
    def missing(self) -> list[str]:
        """What has not come yet, in words; empty if the trace is complete."""
        if not self.spans:
            return ["no span has come"]
        return [*self._no_root(), *self._no_parent(), *self._no_try(), *self._no_peer()]

    def is_root(self, span: Span) -> bool:
        """Its parent is the client's own request, of which nobody tells a span; or it has none."""
        if span.parent in ("", self.id[16:]):
            return True
        return side(span) == "gateway" and span.kind == "server" and span.parent not in self._known

    def _no_root(self) -> list[str]:
        return [] if any(map(self.is_root, self.spans)) else ["the root span"]

    def _no_parent(self) -> Iterator[str]:
        lost: dict[str, Span] = {}
        for span in self.spans:
            if span.parent not in self._known and not self.is_root(span):
                lost.setdefault(span.parent, span)
        for parent, span in lost.items():
            yield f"span {parent}, which caused {span.name!r} of {label(short(span), span.version)}"

    def _no_try(self) -> Iterator[str]:
        """Where proxies tell each try by a span of its own, as the others in the trace do."""
        whole = [span for span in self.spans if span.source == "proxy" and span.kind == "server"]
        tried = {span.parent for span in self.spans if span.source == "proxy" and span.kind == "client"}
        sides = {side(span) for span in whole if span.id in tried}
        for span in whole:
            if span.id not in tried and side(span) in sides and proxy_span.cluster(span) and not flags(span) & EXPLAIN:
                yield f"the upstream span of {label(short(span), span.version)}'s {side(span)} proxy"

    def _no_peer(self) -> Iterator[str]:
        for span in self.spans:
            if proxy_span.expects_peer(span) and not self._below.get(span.id):
                server = proxy_span.chosen(span)
                whose = label(server.service, server.version)
                yield f"the ingress span of {whose}, which {label(short(span), span.version)} called"

    # ---- for people

    @property
    def _named(self) -> str:
        return f"the trace of {self.request}" if self.request else f"trace {self.id}"

    def __str__(self) -> str:
        """The tree, a line a call."""
        lines = [f"{self._named}, {plural(len(self.spans), 'span')}, {seconds(self.seconds)}"]
        waiting = [(root, 1) for root in reversed(self.roots)]
        while waiting:
            call, depth = waiting.pop()
            lines.append("  " * depth + str(call))
            waiting += [(child, depth + 1) for child in reversed(call.children)]
        lines += [f"  missing: {what}" for what in self.missing]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Trace {self.id} {' > '.join(self.path)}{'' if self.complete else ', incomplete'}>"
