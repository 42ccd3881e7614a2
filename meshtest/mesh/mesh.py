"""Mesh: what a test holds. It moves traffic, breaks things, sends load, and says whether users noticed.

    documents ──edit──► documents ──compile──► topology ──provider──► in force
        every change: config.apply, config.ack (or config.rejected) in the history, its diff in the run folder

Not here: what can be asked of it (observed.py), what a change means (manifests/), how it is brought about (providers),
what counts as noticed (checks/).
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from meshtest.checks import About, FaultBit, NoDowntime, Split
from meshtest.errors import ConfigRejected, FeatureMissing, HistoryError, ProviderError, RolloutFailed, UsageError
from meshtest.lib.words import listed, nearest
from meshtest.loads.load import Load as Prober
from meshtest.loads.shape import Stage
from meshtest.loads.spec import Arrivals, Headers, LoadSpec, Protocol, Target, sampled_by
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.culprit import culprits
from meshtest.manifests.diff import diff
from meshtest.manifests.kubernetes import daemon_set
from meshtest.manifests.needs import needs
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read, read_text
from meshtest.manifests.shares import shares
from meshtest.manifests.traffic import TRAFFIC
from meshtest.mesh import conditions, engines, own_spans
from meshtest.mesh.collecting import Collecting
from meshtest.mesh.entering import source_for, source_of, source_of_load
from meshtest.mesh.faults import Injection
from meshtest.mesh.load import Load
from meshtest.mesh.observed import Observed
from meshtest.mesh.service import ServiceHandle, VersionHandle
from meshtest.mesh.strain import Strain
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document, Documents
from meshtest.model.history import History
from meshtest.model.request import SERVED_BY, Lane
from meshtest.model.route import Fault
from meshtest.model.service import Workload
from meshtest.model.status import Status
from meshtest.model.topology import Topology
from meshtest.model.verdict import Outcome, Verdict
from meshtest.run import Run
from meshtest.settings import Settings
from meshtest.spi.check import Check
from meshtest.spi.dialect import TrafficDialect
from meshtest.spi.load import Place
from meshtest.spi.provider import Begins, Context, Provider, TellsProxyCpu

if TYPE_CHECKING:
    from meshtest.loads.ask import Reply, Spoken, TlsAsk
    from meshtest.mesh.canary.rehearsal import Rehearsing
    from meshtest.preflight import Finding
    from meshtest.spi.telemetry import Collector

Edit = Callable[[TrafficDialect, Documents, Topology], Documents]


class Mesh(Observed):
    """One mesh for one run. Use it as a context manager; in pytest it is the fixture `mesh`."""

    def __init__(self, provider: Provider, run: Run, settings: Settings, *, owns_provider: bool = True) -> None:
        """A provider that is not owned is only released at the end: it serves the next run warm."""
        self.provider, self.run, self.settings = provider, run, settings
        self.documents = Documents()
        self.topology = Topology()
        self.statuses: tuple[Status, ...] = ()
        """What a controller would write into the status of routes and gateways."""
        self.diagnostics: tuple[Diagnostic, ...] = ()
        """What the manifests say that is not supported, or has no use here; each with its file:line."""
        self.findings: Sequence[Finding] = ()
        """What the static rules found in the manifests of the last apply; each with code, file:line and fix."""
        self.loads: list[Load] = []
        self.mark = 0.0
        """Second of the run at which the present step began, or the last change was in force if that was later."""
        self._dialect: TrafficDialect = TRAFFIC
        self._load_numbers = itertools.count(1)
        self._ask_numbers = itertools.count(1)
        self._asked: list[str] = []
        """Asks that a proxy says it has served, whose hops are not known to be on disk."""
        self.strain = Strain(provider.proxy_cpu, self.record) if isinstance(provider, TellsProxyCpu) else None
        """Watches, while a load runs, whether the proxies have a CPU."""
        self._has_asked = False
        self._collecting = Collecting(provider)
        self.collector: Collector | None = None
        """Where spans of this run are taken, from the moment the mesh is open; None: `traces` is off."""
        self._number = 0
        self._flushed = 0
        self._owns_provider = owns_provider
        self.hasten = 1.0
        """So many times as often as written are pods probed: where the clock of a rehearsal is compressed."""
        self.opened = False
        """The provider has been started for this run."""

    # ---- life

    def open(self) -> Self:
        """Start the provider; `apply` does it when it was not done before."""
        if not self.opened:
            self.opened = True
            self.collector = self._collecting.begin(self.run, self.settings.traces)
            self.provider.open(self.context())
        return self

    def close(self) -> None:
        """End every load, undo what is still in the way, end the mesh. The run keeps what was recorded."""
        for load in self.loads:
            with contextlib.suppress(Exception):
                load.stop()
        self.stop_observing()
        try:
            self._last_spans()
            for failure in self.run.undo.unwind():
                self.record("undo.failed", failure.name, text=str(failure))
            if self._owns_provider:
                self.provider.close()
            elif self.opened:
                self.provider.release()
        finally:
            self._collecting.end(close=self._owns_provider)
            if self.settings.otlp_endpoint:
                from meshtest.mesh.forwarding import forward_spans

                forward_spans(self.run, self.settings)
            self.run.close()

    def _last_spans(self) -> None:
        """Those that proxies still hold would be lost with them; where nothing was sent there are none."""
        if self.loads or self._has_asked:
            self.flush_spans()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def context(self) -> Context:
        """What the provider is told about this run."""
        run = self.run
        return Context(
            directory=run.directory,
            record=run.record,
            settings=self.settings,
            seed=run.seed,
            collector=self.collector,
            clock_start_ns=run.start_ns,
        )

    # ---- manifests

    def apply(self, *patterns: str | Path, text: str = "", base: Path | None = None) -> None:
        """As `kubectl apply`: files, folders, globs, or YAML text. Returns when pods are ready and proxies know."""
        documents = read(*map(str, patterns), base=base) if patterns else Documents()
        if text:
            documents = documents.apply(read_text(text, "<text>"))
        if not len(documents):
            raise UsageError("mesh.apply() needs files or text=")
        self.put(documents, listed(map(str, patterns)) or "text")

    def put(self, documents: Documents, what: str) -> None:
        """As apply(), of documents that have been read."""
        after = self.documents.apply(documents)
        with self._examined(after):
            self._change(after, f"apply {what}")

    @contextlib.contextmanager
    def _examined(self, documents: Documents) -> Iterator[None]:
        """The static rules: before the change where they can refuse it, else while pods start; edits of ours (shifts,
        faults) skip them."""
        if self.settings.preflight == "off":
            yield
            return
        before = self.documents if len(self.documents) else None
        with ThreadPoolExecutor(1, thread_name_prefix="preflight") as beside:
            examining = beside.submit(_examine, documents, before)
            if self.settings.preflight == "error":
                self._found(examining.result(), refuse=True)
                yield
                return
            try:
                yield
            finally:
                self._found(examining.result())

    def _found(self, findings: Sequence[Finding], *, refuse: bool = False) -> None:
        from meshtest.mesh import preflight

        self.findings = findings
        preflight.note(findings, self.record)
        if refuse:
            preflight.refuse(findings)

    def edit(self, reason: str, edit: Edit) -> None:
        """Change the documents by a pure edit of the dialect, and bring the result into force."""
        self._change(edit(self._dialect, self.documents, self.topology), reason)

    def begin(self, documents: Documents, reason: str, *, faults: Mapping[str, Fault] | None = None) -> None:
        """Bring documents into force as a controller does: returns when every proxy has acknowledged, and pods come and
        go by themselves. With a provider that cannot do this it waits for them."""
        self._change(documents, reason, faults, waits=False)

    def _change(
        self, documents: Documents, reason: str, faults: Mapping[str, Fault] | None = None, *, waits: bool = True
    ) -> None:
        compiled = compile_or_raise(documents)
        topology = replace(compiled.topology, faults=self.topology.faults if faults is None else faults)
        if self.hasten != 1:
            from meshtest.mesh.hasten import hastened

            topology = hastened(topology, self.hasten)
        self._require(topology)
        self._number += 1
        number, began = self._number, time.monotonic()
        intended = {s.name: shares(topology, s.fqdn) for s in topology.services}
        self.record("config.apply", number=number, reason=reason, shares=intended)
        try:
            with own_spans.span(f"config {reason}", number=number):
                provider = self.open().provider
                bring = provider.apply if waits or not isinstance(provider, Begins) else provider.begin
                bring(topology)
        except ProviderError as error:
            self.record("config.rejected", number=number, text=str(error))
            if isinstance(error, ConfigRejected) and (places := culprits(self._new_in(documents), str(error))):
                raise ConfigRejected(f"{error}; see {listed(map(str, places), most=3)}") from None
            raise
        changes = diff(self.documents, documents)
        self.documents, self.topology = documents, topology
        self.diagnostics, self.statuses = compiled.diagnostics, compiled.statuses
        self.record("config.ack", number=number, seconds=time.monotonic() - began)
        self.mark = self.run.now
        self._keep(f"{number:03}.diff", f"# {reason}\n{changes}")

    def _new_in(self, documents: Documents) -> list[Document]:
        """Those that are not in force as they stand."""
        known = {document.key: document for document in self.documents}
        return [document for document in documents if known.get(document.key) != document]

    def _keep(self, name: str, text: str) -> None:
        folder = self.run.directory / "config"
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        except OSError as error:
            raise HistoryError(f"cannot write {folder / name}: {error.strerror}") from None

    def _require(self, topology: Topology) -> None:
        missing = needs(topology) - self.provider.features
        if missing:
            raise FeatureMissing(self.provider.name, sorted(missing))

    def scale(self, workload: str, replicas: int) -> None:
        """As `kubectl scale`, by the workload's key: an edit of its Deployment, so that later changes keep it. A
        DaemonSet has one pod a node: it gets so many nodes (manifests/kubernetes/daemon_set.py)."""
        self._change(_scaled(self.documents, workload, replicas), f"scale {workload} to {replicas}")

    def rotate_certificates(self) -> int:
        """New certificates for all identities of the mesh, as Istio does every 12 hours; returns how many there are.

        Connections that are open keep the certificate they began with. 0: nothing here uses mutual TLS.
        """
        began = time.monotonic()
        count = self.open().provider.rotate_certificates()
        self.record("certificates.rotated", identities=count, seconds=time.monotonic() - began)
        return count

    # ---- services

    def __getitem__(self, name: str) -> ServiceHandle:
        """A service by its short name (`web`), or `name.namespace`."""
        found = [s for s in self.topology.services if name in (s.name, f"{s.name}.{s.namespace}", s.fqdn)]
        if len({s.fqdn for s in found}) != 1:
            raise UsageError(self._which(name, [s.namespace for s in found]))
        return ServiceHandle(self, found[0])

    def _which(self, name: str, namespaces: Sequence[str]) -> str:
        """Why a name means no service, or several."""
        if namespaces:
            return f"service {name!r} is in the namespaces {listed(namespaces)}: write {name}.NAMESPACE"
        known = [s.name for s in self.topology.services]
        hint = nearest(name, known)
        there = listed(known) or "none (mesh.apply(...) comes first)"
        return f"no service {name!r}; there are: {there}" + (f" (did you mean {hint!r}?)" if hint else "")

    def version(self, target: str) -> VersionHandle:
        """`web@v2`"""
        service, _, version = target.partition("@")
        return self[service][version]

    def find(self, target: str) -> list[Workload]:
        """Workloads behind `web` or `web@v2`."""
        return list(self.version(target).workloads if "@" in target else self[target].workloads)

    # ---- what happens

    def load(
        self,
        request: str | Target | Sequence[str | Target] = "",
        *,
        rps: float | None = None,
        requests: int | None = None,
        seconds: float | None = None,
        source: str | None = None,
        headers: Headers = (),
        body: bytes | str = b"",
        lanes: Sequence[str] = ("keepalive", "fresh"),
        connections: int = 16,
        concurrency: int | None = None,
        timeout: float | None = None,
        name: str = "",
        protocol: Protocol = "",
        tls: TlsAsk | None = None,
        shape: Sequence[Stage] = (),
        arrivals: Arrivals = "even",
        processes: int = 1,
        users: int = 0,
        fault_headers: Mapping[str, float] | None = None,
        sampled: float | None = None,
        unreachable: Literal["error", "record"] = "error",
        **engine: Any,
    ) -> Load:
        """Requests like `GET http://web/path`, evenly spaced at `rps` (default 100) whatever the answers do.

        Several requests, or `Target`s with weights, headers and bodies of their own, share one load. `shape` makes the
        rate follow `Ramp`, `Hold` and `Burst` instead; `arrivals="poisson"` makes it random. `users=50` are as many
        sessions that keep their cookies. `fault_headers={"x-fault": 0.1}` puts that header on a share of the requests,
        chosen by the run's seed; `sampled` is the share whose `traceparent` asks to be traced (1 in 100; all of them
        with the setting `traces = "all"`). `processes`: more than one core's worth of load. `unreachable="record"`:
        that nobody listens at the start is no mistake.

        `source`: who sends them. A workload or service of the mesh sends through its own proxy; `ingress` (or
        `ingress/PORT`) comes in through the gateway; `outside` is a client that has no proxy and no identity. Left out:
        a client inside the mesh if the host is one of the mesh's services, else the ingress.

        `locustfile="journeys.py"` or `k6="script.js"` in place of a request: that generator sends, and what else is
        given here are its options (see mesh/engines.py).
        """
        if engine or not request:
            chosen = engines.chosen(request, engine)
            return self._load_by(chosen, engines.given(Mesh.load, locals()) | engine)
        spec = LoadSpec.of(
            request,
            name=name or f"load{next(self._load_numbers)}",
            rate=rps,
            concurrency=concurrency,
            requests=requests,
            seconds=seconds,
            headers=headers,
            body=body,
            lanes=lanes,
            connections=connections,
            timeout=self.settings.request_timeout if timeout is None else timeout,
            protocol=protocol,
            tls=tls,
            shape=shape,
            arrivals=arrivals,
            processes=processes,
            users=users,
            fault_headers=fault_headers,
            sampled=sampled_by(self.settings.traces) if sampled is None else sampled,
            b3=self.settings.trace_headers == "b3",
            unreachable=unreachable,
        )
        place = self._place(spec.name, source_of_load(self.topology, spec) if source is None else source)
        return Load(self, Prober(spec, place))

    def _load_by(self, engine: str, options: dict[str, Any]) -> Load:
        name = options.pop("name", "") or f"load{next(self._load_numbers)}"
        source = options.pop("source", None)
        if source is None:
            source = source_for(self.topology, urlsplit(str(options.get("host", ""))).netloc)
        return Load(self, engines.new_load(engine, self._place(name, source), options))

    def _place(self, load: str, source: str) -> Place:
        """Where a load of that name runs."""
        return Place(
            name=load,
            entrance=self.provider.entrance(source),
            source=source,
            directory=self.run.directory,
            start_ns=self.run.start_ns,
            record=self.record,
            seed=self.run.seed,
            timeout=self.settings.request_timeout,
            sampled=sampled_by(self.settings.traces),
        )

    def ask(
        self,
        request: str,
        *,
        source: str | None = None,
        headers: Headers = (),
        body: bytes | str = b"",
        protocol: Spoken | Literal[""] = "",
        tls: TlsAsk | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """One request, once, and everything that is known of its answer: `GET http://web/`, `grpc://web:90/pkg.S/M`,
        `ws://web/`, `tcp://db:5432`; inside TLS `https`, `grpcs`, `wss`, `tls`.

        `protocol="http2"` sends an http URL by HTTP/2. `source` is as for load(); left out and from outside, the
        gateway's port is the URL's. Trouble of the network is the Reply's fate, not an exception.
        """
        from meshtest.loads.ask import Ask, ask  # with ssl, and most runs ask nothing

        what = Ask.of(
            request,
            headers=headers,
            body=body,
            protocol=protocol,
            tls=tls,
            timeout=timeout or self.settings.request_timeout,
            id=f"ask-{next(self._ask_numbers)}",
        )
        source = source_of(self.topology, what) if source is None else source
        self._has_asked = True
        reply = ask(self.provider.entrance(source), what)
        seen = {"fate": reply.fate, "status": reply.status, "served_by": reply.header(SERVED_BY)}
        if reply.header(SERVED_BY):
            self._asked.append(what.id)
        self.record("ask", what.id, request=str(what), protocol=reply.protocol, **seen)
        return reply

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named part of the rollout: in the history, in the report; `load.here` is what was sent in it."""
        self.record("step.start", name)
        self.mark = self.run.now
        try:
            with own_spans.span(f"step {name}"):
                yield
        finally:
            self.record("step.end", name)

    def fault(
        self,
        target: str,
        *,
        delay: str | float | None = None,
        abort: int | None = None,
        percent: float = 100.0,
        headers: Mapping[str, str] | None = None,
    ) -> Injection:
        """Break something, for the length of a `with` block.

        `web`: in the proxies of its callers, as a VirtualService's `fault` does. `web@v2`: in the version itself, so
        that mirrored requests meet it too. `headers` narrows it to requests that carry them.
        """
        return Injection(self, target, conditions.fault(delay=delay, abort=abort, percent=percent), headers or {})

    def canary(self, *files: str | Path, **options: Any) -> Rehearsing:
        """Rehearse a Canary of Flagger: `mesh.canary("canary.yaml", "web.yaml", speed=20).run(to="v2")`. The files are
        as for apply(); what has been applied before counts, too. The options: `Rehearsing.of`."""
        from meshtest.mesh.canary.rehearsal import Rehearsing  # few meshes rehearse one

        return Rehearsing.of(self, files, **options)

    def break_at_destination(self, faults: Mapping[str, Fault], reason: str) -> None:
        """Set the faults of versions, by workload key."""
        self._change(self.documents, reason, faults)

    def restore(self, documents: Documents, reason: str) -> None:
        """Back to documents as they were before an edit."""
        self._change(documents, reason)

    def about(self, percent: float, *, error: float | None = None) -> About:
        """To compare a share with: an exact binomial test with this chance of a false alarm, not a tolerance."""
        return About(percent, self.settings.error if error is None else error)

    # ---- what was seen

    def record(self, kind: str, subject: str = "", /, **data: Any) -> None:
        """Append an event to the history."""
        self.run.record(kind, subject, **data)

    def flush(self) -> None:
        """Return when what the proxies know of finished requests is on disk. A message on a held connection is none to
        them: they write a line when the connection ends, with the id of the message that opened it."""
        requests = self.run.history().requests
        if self._asked:  # a load settles when it ends; the hop of an ask's last proxy may still be under way
            self.provider.settle()
        if len(requests) > self._flushed or self._asked:
            answered = requests.ids(lambda kind: not kind.fate and kind.lane != Lane.HELD)
            self.provider.flush([*answered, *self._asked])
            self._flushed = len(requests)
            self._asked.clear()

    def flush_spans(self) -> None:
        """Return when the proxies' spans of all requests that have ended are on record; takes 25 ms."""
        self._collecting.flush()

    def history(self, *, flushed: bool = False) -> History:
        if flushed:
            self.flush()
        return self.run.history()

    # ---- judgement

    def judge(self, *checks: Check) -> Verdict:
        """The verdict, without an opinion on it; question and answer are kept in the run folder."""
        self.flush()
        if any(getattr(check, "of_spans", False) for check in checks):
            self.look.settle()
        return self.run.judge(checks or self.default_checks())

    def verify(self, *checks: Check) -> Verdict:
        """As judge(); raises RolloutFailed unless it is PASS: UNKNOWN proves nothing, and so does not pass."""
        verdict = self.judge(*checks)
        if verdict.outcome is not Outcome.PASS:
            raise RolloutFailed(verdict)
        return verdict

    def default_checks(self) -> Sequence[Check]:
        """No request lost, each split as its configuration intends, and every fault has bitten."""
        faults = (FaultBit(),) if self.run.history().of("fault.start") else ()
        if self.run.history().of("canary.start"):
            from meshtest.checks.canary_users import CanaryUsers

            return (CanaryUsers(), *faults)
        splits = (Split(host=host, error=self.settings.error) for host in self._split_hosts())
        return (NoDowntime(), *splits, *faults)

    def _split_hosts(self) -> list[str]:
        """Hosts whose requests were split among versions, or moved from one to another."""
        versions: dict[str, set[str]] = {}
        for event in self.run.history().of("config.apply"):
            for host, intended in event.data["shares"].items():
                versions.setdefault(host, set()).update(intended)
        return sorted(host for host, seen in versions.items() if len(seen) > 1)


def _examine(documents: Documents, before: Documents | None) -> Sequence[Finding]:
    from meshtest.mesh import preflight  # 20 ms that only who asks for it pays

    return preflight.examine(documents, before)


def _scaled(documents: Documents, workload: str, replicas: int) -> Documents:
    def named(kind: str) -> list[Document]:
        return [d for d in documents.of(kind) if f"{d.namespace}/{d.name}" == workload]

    deployments = [put(d, ("spec", "replicas"), replicas) for d in named("apps/Deployment")]
    return documents.apply([*deployments, *(daemon_set.on_nodes(d, replicas) for d in named(daemon_set.KIND))])
