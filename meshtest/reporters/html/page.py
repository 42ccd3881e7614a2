"""The page of one run, in the order in which a person asks: who was hit and why, by whom served, when, one request from
end to end, which configuration, which logs, how to run it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from meshtest.lib.journal import write_text_atomically
from meshtest.model.report import RunReport
from meshtest.reporters.html import changes, facts, graph, heatmap, logs, numbers, timeline, verdict, waterfall
from meshtest.reporters.html.assets import SCRIPT, STYLE
from meshtest.reporters.html.markup import Markup, breakable, join, tag
from meshtest.reporters.html.material import Material

NAME = "report.html"
Section: TypeAlias = tuple[str, str, Callable[[Material], Markup]]
"""Id, heading, what is in it."""
SECTIONS: tuple[Section, ...] = (
    ("versions", "Versions", numbers.versions),
    ("timeline", "Timeline", timeline.section),
    ("latency", "Latency", heatmap.section),
    ("traces", "Requests, end to end", waterfall.section),
    ("graph", "Service graph", graph.section),
    ("changes", "Configuration", changes.section),
    ("logs", "Logs", logs.section),
    ("again", "Run it again", facts.again),
    ("facts", "Facts", lambda material: join((facts.facts(material), facts.events(material)))),
)
"""Of every page."""


def page(report: RunReport, *, head: str = "") -> str:
    """One self-contained document. `head` is markup for its head, for those who serve it while the run lasts."""
    material = Material(report)
    words = f"{verdict.WORDS[material.outcome]}: {material.name}"
    body = (
        tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
        _header(material),
        tag("main", verdict.section(material), numbers.tiles(material), *_sections(material), id="main"),
        tag(
            "footer",
            tag("p", "Written by meshtest. Times are seconds since the run started, unless they say otherwise."),
        ),
    )
    return document(words, body, head + _style(report))


def document(title: str, body: tuple[Markup, ...], head: str = "") -> str:
    """Anything as a page of ours."""
    parts = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
        Markup(head),
    )
    script = Markup(f"<script>{SCRIPT}</script>")
    return f"<!doctype html>\n{tag('html', tag('head', *parts), tag('body', *body, script), lang='en')}\n"


def write(report: RunReport, path: Path | None = None) -> Path:
    """Into a file, by default report.html of the run's folder; whole or not at all."""
    if path is None:
        path = (report.folder or Path()) / NAME
    write_text_atomically(path, page(report))
    return path


def _header(material: Material) -> Markup:
    where, _, test = material.name.rpartition("::")
    about = [facts.started(material), facts.lasted(material), str(material.report.about.get("provider") or "")]
    seed = material.report.about.get("seed")
    about += [f"seed {seed}"] if seed is not None else []
    links = (tag("a", heading, href=f"#{key}") for key, heading, _ in _parts(material))
    return tag(
        "header",
        tag("p", where or "meshtest", class_="where"),
        tag("h1", verdict.badge(material.outcome), " ", tag("span", breakable(test or material.name), class_="name")),
        tag("p", join((tag("span", word) for word in about if word), " · "), class_="about"),
        tag("nav", *links, aria_label="Sections"),
    )  # fmt: skip


def _sections(material: Material) -> Iterator[Markup]:
    for key, heading, made in _parts(material):
        yield tag("section", tag("h2", heading, id=key), made(material), aria_labelledby=key)


def _parts(material: Material) -> Iterator[Section]:
    """A rehearsal comes first: it is what was asked."""
    if material.report.rehearsals:
        from meshtest.reporters.html import rehearsal

        yield "rehearsal", rehearsal.HEADING, rehearsal.section
    yield from SECTIONS


def _style(report: RunReport) -> str:
    """What only some pages need."""
    if not report.rehearsals:
        return ""
    from meshtest.reporters.html import rehearsal

    return rehearsal.style()
