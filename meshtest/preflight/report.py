"""Findings for people: grouped by file, worst files first, each with its fix. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from meshtest.lib.words import plural
from meshtest.model.diagnostic import Severity
from meshtest.preflight.finding import Finding, loud
from meshtest.preflight.rules import Code

COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def report(
    findings: Sequence[Finding], *, objects: int, everything: bool = False, width: int = 80, color: bool = False
) -> str:
    """Lines for a terminal. Notes and silenced findings are counted, and listed on request."""
    shown = [f for f in findings if everything or (f.silenced is None and f.severity > Severity.INFO)]
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in shown:
        by_file[finding.source.file].append(finding)
    lines: list[str] = []
    for file, found in by_file.items():
        lines += [_bold(file, color)]
        for finding in found:
            lines += _finding(finding, width, color)
        lines += [""]
    return "\n".join([*lines, _summary(findings, objects, everything=everything)])


def _bold(text: str, color: bool) -> str:
    return f"\033[1m{text}\033[0m" if color else text


def _finding(finding: Finding, width: int, color: bool) -> Iterator[str]:
    word = WORDS[finding.severity] if finding.silenced is None else "silenced"
    painted = f"\033[{COLORS[finding.severity]}m{word}\033[0m" if color and finding.silenced is None else word
    head = f"  {finding.source.line:>4}  "
    yield f"{head}{painted} {finding.code} {finding.title}"
    indent = " " * len(head)
    yield from textwrap.wrap(finding.message, width, initial_indent=indent, subsequent_indent=indent)
    last = f"because {finding.silenced}" if finding.silenced else f"-> {finding.fix}"
    yield from textwrap.wrap(last, width, initial_indent=indent, subsequent_indent=f"{indent}   ")


def _summary(findings: Sequence[Finding], objects: int, *, everything: bool) -> str:
    """`2 errors, 1 warning, 4 notes in 12 objects`"""
    counts = Counter(finding.severity for finding in loud(findings))
    parts = [plural(counts[s], WORDS[s]) for s in (Severity.ERROR, Severity.WARNING, Severity.INFO) if counts[s]]
    silenced = len(findings) - sum(counts.values())
    parts += [f"{silenced} silenced"] if silenced else []
    hidden = not everything and (counts[Severity.INFO] or silenced)
    more = " (--all lists notes and what is silenced)" if hidden else ""
    return f"{', '.join(parts) or 'nothing found'} in {plural(objects, 'object')}{more}"


def listing(codes: Mapping[str, Code], *, width: int = 80, color: bool = False) -> str:
    """Every code: what it says, the fix, where the fact comes from."""
    lines: list[str] = []
    for code in codes.values():
        lines += [f"{_bold(code.code, color)} {code.name} ({WORDS[code.severity]})"]
        for text in (code.says, f"-> {code.fix}", f"source: {code.source}"):
            lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="     ")
    return "\n".join(lines)
