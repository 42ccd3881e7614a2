"""Pages for people: who is running, what came out, which gate is open. Fit for a phone, without a script.

Nothing can be done from here: a page that changes something is one that another site can click.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from meshtest.reporters.html.markup import Markup, breakable, join, tag, text
from meshtest.webhook.gates import kind_of, told
from meshtest.webhook.runs import RunState, StoredRun
from meshtest.webhook.store import Gate

if TYPE_CHECKING:
    from meshtest.webhook.endpoint import Endpoint

LATEST = 50
POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --raised: #f6f7f9; --line: #dfe3e8; --ink: #1b2028; --dim: #5a6472;
  --link: #00558c; --pass: #00694c; --fail: #a63c00; --unknown: #7a5200; --running: #00558c; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171c; --raised: #1c2027; --line: #333a45; --ink: #e6e9ee;
  --dim: #a2adbb; --link: #7cc4f5; --pass: #4fd0a5; --fail: #ff9d5c; --unknown: #f0b849; --running: #7cc4f5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 960px; margin: 0 auto; padding: 20px 16px 40px; }
h1 { font-size: 21px; margin: 0; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; } a { color: var(--link); } .dim { color: var(--dim); font-size: 14px; }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px; }
li { background: var(--raised); border: 1px solid var(--line); border-left: 4px solid var(--dim); border-radius: 6px;
  padding: 10px 14px; }
li.passed, li.open { border-left-color: var(--pass); } li.failed { border-left-color: var(--fail); }
li.running, li.queued { border-left-color: var(--running); }
li.unknown, li.interrupted { border-left-color: var(--unknown); }
.head { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: baseline; }
.state { font-weight: 650; } .passed .state, .open .state { color: var(--pass); } .failed .state { color: var(--fail); }
.running .state, .queued .state { color: var(--running); }
.unknown .state, .interrupted .state { color: var(--unknown); }
code { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.files li { border-left-width: 1px; padding: 0; } .files a { display: block; padding: 9px 14px; }
@media (min-width: 700px) { .meta { float: right; } }
"""


def status(endpoint: Endpoint) -> str:
    """`GET /`. Of namespaces that the endpoint admits."""
    now = endpoint.now()
    runs = list(reversed(endpoint.store.runs()))
    under_way = [run for run in reversed(runs) if not run.state.is_over]
    over = [run for run in runs if run.state.is_over]
    gates = sorted((gate for gate in endpoint.store.gates() if kind_of(gate)), key=lambda gate: -gate.at)
    parts = [
        _section("Under way", [_run(endpoint, run, now) for run in under_way], "No suite is running."),
        _section("Gates", [_gate(gate, now) for gate in gates[:LATEST]], "Nobody has opened a gate yet."),
        _section("Verdicts", [_run(endpoint, run, now) for run in over[:LATEST]], "No run has ended yet."),
        _older(over, {}),
        _section("Suites", [_suite(endpoint, name) for name in sorted(endpoint.suites)], "There is none."),
    ]
    state = "is about to end; it accepts no more runs" if endpoint.draining else "is ready"
    lead = tag("p", f"The endpoint {state}. {_clock(now)} UTC", class_="dim")
    trouble = [tag("ul", tag("li", endpoint.store.trouble, class_="failed"))] if endpoint.store.trouble else []
    return _page("meshtest webhook", [tag("h1", "meshtest webhook"), lead, *trouble, *parts], refresh=10)


def of_runs(endpoint: Endpoint, runs: Iterable[StoredRun], chosen: Mapping[str, str]) -> str:
    """`GET /?canary=NAME`, `/?before=ID`: the first of the runs that were chosen, and a way to the next."""
    found = list(islice(runs, LATEST + 1))
    what = ", ".join(f"{name} {value}" for name, value in chosen.items())
    parts = [
        tag("p", tag("a", "all runs", href="/"), class_="dim"),
        _section(f"Runs: {what}", [_run(endpoint, run, endpoint.now()) for run in found[:LATEST]], "There is none."),
        _older(found, chosen),
    ]
    return _page("meshtest webhook", parts, refresh=None)


def _older(runs: Sequence[StoredRun], chosen: Mapping[str, str]) -> Markup:
    """After a page of them, the latest first."""
    if len(runs) <= LATEST:
        return Markup("")
    return tag("p", tag("a", "older ones", href=_chosen({**chosen, "before": runs[LATEST - 1].id})))


def _chosen(query: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return f"/?{urlencode(query)}"


def of_run(endpoint: Endpoint, run: StoredRun, files: Sequence[tuple[str, int]]) -> str:
    """`GET /reports/ID/`: a run, and what it has left."""
    pages = [name for name, _ in files if name.endswith("report.html")]
    rest = [name for name, _ in files if name not in pages]
    parts = [
        tag("p", tag("a", "all runs", href="/"), class_="dim"),
        tag("h1", f"{run.key.suite} for {run.key.namespace}/{run.key.canary}"),
        tag("ul", _run(endpoint, run, endpoint.now(), links=False)),
        _section("Reports", [_file(run, name) for name in pages], "There is no report page yet.", "files"),
        _section("Files", [_file(run, name) for name in rest], "There is none.", "files"),
    ]
    return _page(f"{run.key.suite}: {run.state}", parts, refresh=None if run.state.is_over else 5)


def _page(title: str, parts: Iterable[Markup], refresh: int | None) -> str:
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content=str(refresh)) if refresh else "",
        tag("title", title),
        tag("style", Markup(STYLE)),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', tag('main', *parts)), lang='en')}\n"


def _section(title: str, items: Sequence[Markup], nothing: str, kind: str | None = None) -> Markup:
    body = tag("ul", *items, class_=kind) if items else tag("p", nothing, class_="dim")
    return join([tag("h2", title), body])


def _run(endpoint: Endpoint, run: StoredRun, now: float, *, links: bool = True) -> Markup:
    canary = {"namespace": run.key.namespace, "canary": run.key.canary}
    who = tag("strong", tag("a", breakable("/".join(canary.values())), href=_chosen(canary)))
    head = [tag("span", str(run.state), class_="state"), who, tag("span", run.key.suite)]
    if links:
        head.append(tag("a", "report", href=f"/reports/{run.id}/"))
    reason = run.cancelling if not run.state.is_over else run.reason
    return tag(
        "li",
        tag("div", *head, class_="head"),
        tag("p", reason) if reason else "",
        tag("p", join([told(run.key.revision), _times(run, now), *_values(run)], ", "), class_="dim"),
        class_=str(run.state),
    )


def _values(run: StoredRun) -> list[str]:
    again = [f"attempt {run.attempt}"] if run.attempt > 1 else []
    return [*again, *(f"{name}={value}" for name, value in run.parameters.items())]


def _times(run: StoredRun, now: float) -> str:
    if run.state is RunState.QUEUED:
        return f"accepted {_ago(run.accepted, now)}"
    if not run.state.is_over:
        return f"began {_ago(run.began, now)}"
    took = f" after {_span(run.seconds)}" if run.began else ""
    return f"ended {_ago(run.ended, now)}{took}"


def _gate(gate: Gate, now: float) -> Markup:
    what = "rollback gate" if gate.kind == "rollback" else "gate"
    state = tag("span", f"{what} {'open' if gate.open else 'closed'}", class_="state")
    bound = f"for {told(gate.checksum)}, " if gate.checksum else "for whichever revision asks first, " * gate.open
    return tag(
        "li",
        tag("div", state, tag("strong", breakable(f"{gate.namespace}/{gate.name}")), class_="head"),
        tag("p", gate.reason) if gate.reason and not gate.open else "",
        tag("p", f"{bound}{_ago(gate.at, now)} by {gate.who or 'somebody'}", class_="dim"),
        class_="open" if gate.open else "closed",
    )


def _suite(endpoint: Endpoint, name: str) -> Markup:
    suite = endpoint.suites[name]
    takes = ", ".join(n if p.default is None else f"{n}={p.default}" for n, p in suite.parameters.items())
    parts = [tag("p", suite.about) if suite.about else "", tag("p", f"takes {takes}", class_="dim") if takes else ""]
    return tag("li", tag("div", tag("strong", name), class_="head"), *parts)


def _file(run: StoredRun, name: str) -> Markup:
    from urllib.parse import quote

    return tag("li", tag("a", breakable(name), href=f"/reports/{run.id}/{quote(name)}"))


def _ago(at: float, now: float) -> Markup:
    return text(f"{_span(max(0.0, now - at))} ago ({_clock(at)})")


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
