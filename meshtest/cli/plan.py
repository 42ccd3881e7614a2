"""`meshtest plan FILES --from OLD`: the order in which to apply changes so that no request is lost."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.cli import FAILED, OK
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.preflight.plan import Step

VERSION = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="manifests as they shall be")
    parser.add_argument(
        "--from",
        dest="before",
        action="append",
        default=[],
        metavar="FILE",
        help="manifests as they are (default: none)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--out", metavar="DIR", help="write one file a step, numbered; the commands name them")


def go(arguments: argparse.Namespace) -> int:
    from meshtest.manifests.reader import read
    from meshtest.model.document import Documents
    from meshtest.preflight.commands import command, objects_per_file
    from meshtest.preflight.plan import plan

    after = read(*arguments.files)
    before = read(*arguments.before) if arguments.before else Documents()
    steps = plan(after, before)
    if arguments.out:
        _write(steps, Path(arguments.out))
    per_file = objects_per_file(after)
    commands = {step.number: command(step, per_file, arguments.out or "") for step in steps}
    if arguments.format == "json":
        print(json.dumps(data(steps, commands), indent=2))
    else:
        with Terminal(sys.stdout) as terminal:
            terminal.say("\n".join(_lines(steps, commands, terminal.width, terminal.color)))
    return FAILED if any(step.risk for step in steps) else OK


def data(steps: Sequence[Step], commands: Mapping[int, str]) -> dict[str, Any]:
    """In a shape that stays: fields are added, never renamed."""
    return {"version": VERSION, "steps": [_step_data(step, commands[step.number]) for step in steps]}


def _step_data(step: Step, command: str) -> dict[str, Any]:
    kind, namespace, name = step.document.key
    return {
        "number": step.number,
        "action": step.action,
        "object": {"kind": kind, "namespace": namespace, "name": name},
        "command": command,
        "why": step.why,
        "wait": step.wait,
        "risk": step.risk,
        "manifest": step.document.data if step.action != "delete" else None,
    }


def _lines(steps: Sequence[Step], commands: Mapping[int, str], width: int, color: bool) -> Iterator[str]:
    for step in steps:
        head = f"{step.number:>3}. "
        title = f"{step.action} {step.title}"
        yield head + (f"\033[1m{title}\033[0m" if color else title)
        indent = " " * len(head)
        for word, text in (("why", step.why), ("wait until", step.wait), ("LOSES REQUESTS", step.risk)):
            if text:
                yield from textwrap.wrap(
                    f"{word}: {text}", width, initial_indent=indent, subsequent_indent=f"{indent}  "
                )
        yield textwrap.indent(f"$ {commands[step.number]}", indent)
    risks = sum(bool(step.risk) for step in steps)
    yield _summary(len(steps), risks)


def _summary(steps: int, risks: int) -> str:
    from meshtest.lib.words import plural

    if not steps:
        return "nothing to do: the manifests are the same"
    return f"{plural(steps, 'step')}" + (f", {risks} of them cannot be made without loss" if risks else "")


def _write(steps: Sequence[Step], folder: Path) -> None:
    from meshtest.manifests.diff import dump
    from meshtest.preflight.commands import file_name

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for step in steps:
            if step.action != "delete":
                (folder / file_name(step)).write_text(dump(step.document))
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None
