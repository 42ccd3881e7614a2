"""YAML text to JSON-like data together with the line of every node, by the rules of `kubectl`.

Not here: files (reader.py), what the data means (the dialects).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from meshtest.errors import ManifestError
from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Path

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where the wheel has it: bookinfo.yaml takes 6 ms instead of 40."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = yaml.constructor.SafeConstructor()
_CONSTRUCT: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": _SCALARS.construct_yaml_bool,
    f"{_TAG}int": _SCALARS.construct_yaml_int,
    f"{_TAG}float": _SCALARS.construct_yaml_float,
}
DEEPEST = 100
"""Levels; a CRD with its schema has 30. Go's decoder stops at 10,000, which Python's stack does not reach."""
SAFE = 5_000
"""Levels that libyaml composes without a look before; it has no limit but the stack, and dies with it."""
BY_ALIAS = 100_000
"""Nodes of a document that only its aliases make: a few short lines of them can stand for more than memory."""
_TOO_DEEP = f"more than {DEEPEST} levels deep"
_AS_WRITTEN = frozenset(f"{_TAG}{kind}" for kind in ("str", "timestamp", "value"))
"""Dates stay strings, as JSON has none."""


@dataclass(frozen=True)
class Node:
    """One YAML document: its data, the line of each node by path, the line it begins at."""

    data: Any
    lines: dict[Path, int]
    line: int


def parse(text: str, file: str) -> Iterator[Node]:
    """The documents of a text that are not empty. Raises ManifestError for text that is no YAML, with its line."""
    try:
        if _may_be_deep(text):
            _check_depth(text, file)
        roots = list(yaml.compose_all(text, Loader=LOADER))
    except yaml.YAMLError as error:
        raise malformed(error, file, text) from None
    for root in roots:
        if root is None:
            continue
        lines: dict[Path, int] = {}
        data = _Builder(file, lines, 2 * len(text) + BY_ALIAS).build(root, ())
        if data is not None:
            yield Node(data, lines, root.start_mark.line + 1)


def _may_be_deep(text: str) -> bool:
    """A level takes a bracket, or a column of its line."""
    columns = max(map(len, text.split("\n")))
    return columns > SAFE or text.count("[") + text.count("{") + columns > SAFE


def _check_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _error(f"malformed YAML: {_TOO_DEEP}", file, _line(event))


def malformed(error: yaml.YAMLError, file: str, text: str) -> ManifestError:
    """The parser's problem in one line."""
    hint = "; it looks like a template of Helm: give what `helm template` makes of it" if "{{" in text else ""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        if mark is not None and _line_of(text, mark.line)[: mark.column + 1].endswith("\t"):
            problem = "a tab; YAML is indented by spaces"
        return _error(f"malformed YAML: {problem}{hint}", file, mark.line + 1 if mark else 1)
    line = text.count("\n", 0, getattr(error, "position", 0)) + 1
    return _error(f"malformed YAML: {getattr(error, 'reason', error)}", file, line)


def _line_of(text: str, number: int) -> str:
    """ "" behind the last one, where what is missing is told."""
    return "".join(text.split("\n")[number : number + 1])


def _error(message: str, file: str, line: int, code: str = "malformed") -> ManifestError:
    return ManifestError([Diagnostic(Severity.ERROR, code, message, Source(file, line))])


class _Builder:
    """Data from nodes. A mapping entry stands at the line of its key, a list item where it begins."""

    def __init__(self, file: str, lines: dict[Path, int], most: int) -> None:
        self.file = file
        self.lines = lines
        self.open: set[int] = set()
        self.left = most

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.count(node)
        if len(path) > DEEPEST:
            raise self.refuse(node, _TOO_DEEP)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if id(node) in self.open:
            raise self.refuse(node, "an alias refers to a node that contains it")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.mapping(node, path)
        finally:
            self.open.discard(id(node))

    def count(self, node: yaml.Node) -> None:
        """Without aliases each node is at least one character of the text, and counted twice if it is a mapping."""
        self.left -= 1
        if self.left < 0:
            raise self.refuse(node, "its aliases make too much of it; write out what they stand for")

    def mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name, (key, value) in self.entries(node).items():
            self.lines[*path, name] = key.start_mark.line + 1
            data[name] = self.build(value, (*path, name))
        return data

    def entries(self, node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """By key; a key given twice is an error, one merged with `<<` gives way."""
        self.count(node)
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged = {**self.merged(value), **merged}
                continue
            name = self.key(key)
            if name in own:
                first = own[name][0].start_mark.line + 1
                raise self.refuse(key, f"key {name!r} is given twice: in line {first} and in line {_line(key)}")
            own[name] = (key, value)
        return {**own, **{name: entry for name, entry in merged.items() if name not in own}}

    def merged(self, node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if isinstance(node, yaml.SequenceNode):
            return {k: v for part in reversed(node.value) for k, v in self.merged(part).items()}
        if not isinstance(node, yaml.MappingNode) or id(node) in self.open:
            raise self.refuse(node, "`<<` needs a mapping, or a list of mappings")
        return self.entries(node)

    def key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag in _AS_WRITTEN:
            return str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}int" and node.value.isdigit():
            return str(node.value)  # kubectl makes a string of it: `portLevelMtls: {8080: ...}`
        raise self.refuse(node, f"a key must be a string; write it in quotes: {_shown(node)}")

    def scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag in _AS_WRITTEN:
            return node.value
        construct = _CONSTRUCT.get(node.tag)
        if construct is None:
            raise self.refuse(node, f"the YAML tag {node.tag!r} means nothing in a manifest")
        if ":" in node.value:  # `1:30` is 90 in YAML 1.1, but a string to kubectl
            return node.value
        try:
            return construct(node)
        except ValueError as error:
            raise self.refuse(node, f"{node.value!r}: {error}") from None

    def refuse(self, node: yaml.Node, message: str) -> ManifestError:
        return _error(f"malformed YAML: {message}", self.file, _line(node))


def _line(node: yaml.Node | yaml.Event) -> int:
    return int(node.start_mark.line) + 1  # type: ignore[union-attr]  # of what was read there is one


def _shown(node: yaml.Node) -> str:
    return repr(str(node.value)) if isinstance(node, yaml.ScalarNode) else "a collection is no key"
