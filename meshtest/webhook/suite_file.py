"""Suites as they lie in a folder: each folder in it with `test_*.py`, or whose `suite.yaml` names another kind of run.

    about: Checkout answers, and within its latency.
    timeout: 10m                        # 90, 90s, 10m, 1h
    max-age: 10m                        # of a pass that lets a rollout begin (confirm-rollout)
    parameters:
      target: {about: URL of the canary, pattern: "http://[a-z.-]+(:[0-9]+)?", default: http://checkout-canary}
    namespaces: [shop, "shop-.*"]       # whole names
    arguments: [-k, smoke]              # for pytest, or k6
    interrupted: rerun                  # or hold: wait for a person
    k6: load.js                         # or `judge: judge.yaml`: another kind of run than pytest

Every mistake is told with its file:line. Not here: what is started for a suite (work.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from meshtest.errors import MeshtestError, UsageError
from meshtest.lib import regex
from meshtest.lib.words import listed, nearest
from meshtest.webhook.suites import Kind, Parameter, Suite

FILE = "suite.yaml"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label (RFC 1123), as names in Kubernetes are: it stands in URLs, and in the metadata of hooks."""
PARAMETER = re.compile(r"[a-z][a-z0-9_-]{0,62}")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
LONGEST = 7 * 24 * 3600


def found(folder: Path) -> Mapping[str, Suite]:
    """By name. UsageError with every mistake."""
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise UsageError(f"--suites {folder}: no such folder; each folder in it with test_*.py is a suite")
    suites, mistakes = {}, []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"):
        reading = Reading(path)
        if suite := reading.suite():
            suites[suite.name] = suite
        mistakes += reading.mistakes
    if mistakes:
        raise UsageError("\n".join(mistakes))
    if not suites:
        raise UsageError(f"--suites {folder}: there is no suite in it, that is a folder with test_*.py or {FILE}")
    return suites


class Reading:
    """One folder, and the mistakes in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.mistakes = path, list[str]()
        self._lines: Mapping[tuple[Any, ...], int] = {}
        self._file = path / FILE

    def suite(self) -> Suite | None:
        """None: it is none, or has mistakes."""
        tests = any(self.path.glob("test_*.py"))
        if not tests and not self._file.exists():
            return None
        if not NAME.fullmatch(self.path.name):
            self.mistakes.append(
                f"{self.path}: {self.path.name!r} is no name for a suite: at most 63 of a-z, 0-9 and '-', not at its "
                "ends (a DNS label)"
            )
        values = dict(self._values(self._data()))
        if not tests and "kind" not in values and not self.mistakes:
            self._wrong((), f"the folder has no test_*.py, and the file names no {listed(_OTHER_KINDS)}")
        return None if self.mistakes else Suite(name=self.path.name, path=self.path, **values)

    def _data(self) -> Mapping[str, Any]:
        if not self._file.exists():
            return {}
        from meshtest.manifests import nodes

        try:
            roots = list(nodes.parse(self._file.read_text(encoding="utf-8"), str(self._file)))
        except (OSError, UnicodeDecodeError) as error:
            self.mistakes.append(f"{self._file}: cannot be read: {error}")
            return {}
        except MeshtestError as error:
            self.mistakes.append(str(error))
            return {}
        self._lines = roots[0].lines if roots else {}
        if len(roots) > 1 or (roots and not isinstance(roots[0].data, dict)):
            self._wrong((), "must be one mapping")
            return {}
        return dict(roots[0].data) if roots else {}

    def _values(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, value in data.items():
            if read := _KEYS.get(key):
                yield from read(self, key, value)
            else:
                self._unknown((key,), key, _KEYS)
        if len(kinds := [kind for kind in _OTHER_KINDS if kind in data]) > 1:
            self._wrong((kinds[1],), f"a suite has one kind of run, not both {' and '.join(kinds)}")

    def _wrong(self, at: tuple[Any, ...], what: str) -> None:
        self.mistakes.append(f"{self._file}:{self._lines.get(at, 1)}: {what}")

    def _unknown(self, at: tuple[Any, ...], key: str, known: Mapping[str, Any]) -> None:
        close = nearest(key, known)
        self._wrong(
            at, f"unknown key {key!r}" + (f"; did you mean {close!r}?" if close else f"; known: {listed(known)}")
        )

    # ---- values: each yields what Suite is made of, or nothing

    def _text(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, str):
            yield key, " ".join(value.split())
        else:
            self._wrong((key,), f"{key} must be text")

    def _duration(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        match = None if isinstance(value, bool) else DURATION.fullmatch(str(value))
        seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
        if 0 < seconds <= LONGEST:
            yield key.replace("-", "_"), seconds
        else:
            self._wrong((key,), f"{key} {value!r} is no time such as 90s, 10m or 1h, of at most 168h")

    def _words(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, list) and all(isinstance(word, str) and word.isprintable() for word in value):
            yield key, tuple(value)
        else:
            self._wrong((key,), f"{key} must be a list of words; write numbers in quotes: [-k, smoke, --maxfail, '1']")

    def _patterns(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        patterns = [value] if isinstance(value, str) else value
        if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) for one in patterns):
            self._wrong((key,), f"{key} must be a list of regular expressions, each for a whole name")
            return
        for index, pattern in enumerate(patterns):
            self._regular((key, index), pattern)
        yield key, tuple(patterns)

    def _regular(self, at: tuple[Any, ...], pattern: Any) -> bool:
        if why := regex.refusal(pattern) if isinstance(pattern, str) else "it must be text":
            self._wrong(at, f"{pattern!r} is no regular expression of RE2: {why}")
        return not why

    def _interrupted(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if value in ("rerun", "hold"):
            yield "rerun_interrupted", value == "rerun"
        else:
            self._wrong((key,), f"{key} must be rerun or hold, not {value!r}")

    def _other_kind(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, str) or not _inside(self.path, value):
            self._wrong((key,), f"{key} must name a file in the suite's folder; there is no {value!r}")
            return
        yield "kind", key
        yield "file", value

    def _parameters(self, key: str, value: Any) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, dict):
            self._wrong((key,), f"{key} must be a mapping of names to {{pattern, default, about}}")
            return
        made = {name: self._parameter((key, name), name, one) for name, one in value.items()}
        for name in made:
            if (twin := name.replace("-", "_")) != name and twin in made:
                self._wrong((key, name), f"parameters {name!r} and {twin!r} would be the same variable")
        yield key, made

    def _parameter(self, at: tuple[Any, ...], name: str, value: Any) -> Parameter:
        if not PARAMETER.fullmatch(name):
            self._wrong(at, f"{name!r} is no name for a parameter: a-z first, then a-z, 0-9, '_' and '-'")
        value = {} if value is None else value
        if not isinstance(value, dict):
            self._wrong(at, f"parameter {name!r} must be a mapping of {listed(_PARAMETER)}, or empty")
            return Parameter()
        for key in value:
            if key not in _PARAMETER:
                self._unknown((*at, key), key, _PARAMETER)
        return self._fitting(at, name, {key: one for key, one in value.items() if key in _PARAMETER})

    def _fitting(self, at: tuple[Any, ...], name: str, value: dict[str, Any]) -> Parameter:
        for key, one in value.items():
            if not isinstance(one, str):
                self._wrong((*at, key), f"{key} of parameter {name!r} must be text; write {one!r} in quotes")
                return Parameter()
        parameter = Parameter(**value)
        fits = parameter.default is None or regex.matches(parameter.pattern, parameter.default)
        if self._regular((*at, "pattern"), parameter.pattern) and not fits:
            self._wrong((*at, "default"), f"the default of {name!r} does not match {parameter.pattern}")
        return parameter


def _inside(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_file() and path.is_relative_to(folder.resolve())


_OTHER_KINDS = tuple(kind for kind in get_args(Kind) if kind != "tests")
_PARAMETER = {"pattern": "", "default": "", "about": ""}
_KEYS: Mapping[str, Callable[[Reading, str, Any], Iterator[tuple[str, Any]]]] = {
    "about": Reading._text,
    **dict.fromkeys(("timeout", "max-age"), Reading._duration),
    "parameters": Reading._parameters,
    "namespaces": Reading._patterns,
    "arguments": Reading._words,
    "interrupted": Reading._interrupted,
    **dict.fromkeys(_OTHER_KINDS, Reading._other_kind),
}
