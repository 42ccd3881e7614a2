"""A run as it stands on disk: read it while it is written, after it ended, or after it was cut short."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from meshtest.checks import from_parameters, judge
from meshtest.errors import HistoryError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.journal import whole_lines
from meshtest.lib.prefix import prefix
from meshtest.model.history import Event, History, Hops
from meshtest.model.record import RECORD
from meshtest.model.request import Requests
from meshtest.model.span import Spans
from meshtest.model.verdict import Finding, Verdict
from meshtest.run import folder


@dataclass(frozen=True)
class StoredRun:
    """A run folder. `about` is its run.json."""

    path: Path
    about: Mapping[str, Any] = field(repr=False)

    @property
    def crashed(self) -> bool:
        """Its process is gone, and did not say how it ended."""
        return self.about.get("ended") is None and not folder.alive(self.about)

    def history(self, cut: Mapping[str, int] | None = None) -> History:
        """All that is written by now, or what was when `cut` was taken."""
        reader = _Reader(self.path, cut)
        events = reader.events()
        requests = reader.requests(int(self.about["start_ns"]))
        hops = reader.hops(float(self.about["wall_start"]))
        spans = reader.spans(float(self.about["wall_start"]))
        unwritten = any(e.kind == "load.end" and e.data.get("error") for e in events)
        ragged = reader.ragged and not folder.alive(self.about)  # of a live run someone is about to write the rest
        crashed = self.crashed and cut is None
        return History(events, requests, hops, spans, crashed or unwritten or ragged, cut=reader.cut)

    def loads(self) -> list[str]:
        """Names of the loads that have left records."""
        return list(dict.fromkeys(stem.partition("+")[0] for stem in folder.sheets(self.path)))

    def parts(self, load: str | None = None) -> Iterator[Requests]:
        """The requests of a load or of all, a file at a time, as they stand in it: in order of completion."""
        for stem in folder.sheets(self.path):
            if load in (None, stem.partition("+")[0]):
                yield _Reader(self.path, None).part(stem, int(self.about["start_ns"]))

    @cached_property
    def asked(self) -> Sequence[Mapping[str, Any]]:
        """The checks that were judged: name, parameters, start, end, cut."""
        try:
            data = json.loads((self.path / folder.CHECKS).read_text())
        except FileNotFoundError:
            return ()
        except ValueError as error:
            raise HistoryError(f"{self.path / folder.CHECKS} is not JSON: {error}") from None
        return list(data["checks"])

    def judge(self) -> Verdict:
        """Ask again what was asked then. A run that crashed before it asked anything is UNKNOWN."""
        findings: list[Finding] = []
        asked_of: object = None
        for entry in self.asked:
            window = [entry.get(name) for name in ("cut", "start", "end", "truncated")]
            if window != asked_of:  # most often all were asked at once, and share what they work out
                asked_of, history = window, self._window(entry)
            findings += judge(history, [from_parameters(entry["name"], entry["parameters"])]).findings
        return Verdict(tuple(findings))

    def _window(self, entry: Mapping[str, Any]) -> History:
        """The part of the record that a check was asked of."""
        history = self.history(entry.get("cut"))
        end = float("inf") if entry.get("end") is None else float(entry["end"])
        history = replace(history, truncated=history.truncated or bool(entry.get("truncated")))
        return history.between(float(entry.get("start") or 0.0), end)


class _Reader:
    """Reads prefixes of the files, and notes how far it got and whether an end was ragged."""

    def __init__(self, path: Path, cut: Mapping[str, int] | None) -> None:
        self.path, self._given = path, cut
        self.cut: dict[str, int] = {}
        self.ragged = False

    def _read(self, name: str) -> bytes | memoryview:
        """All that is there, or as much as was when the cut was taken."""
        wanted = None if self._given is None else self._given.get(name, 0)
        try:
            data = prefix(self.path / name, wanted) if wanted != 0 else b""
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise HistoryError(f"cannot read {self.path / name}: {error.strerror}") from None
        self.ragged |= wanted is not None and len(data) < wanted
        return data

    def _lines(self, name: str) -> list[bytes]:
        lines, ragged = whole_lines(bytes(self._read(name)))
        self.ragged |= ragged
        self.cut[name] = sum(map(len, lines)) + len(lines)
        return lines

    def events(self) -> list[Event]:
        events = []
        for number, line in enumerate(self._lines(folder.EVENTS), 1):
            try:
                entry = json.loads(line)
                events.append(Event(entry["at"], entry["kind"], entry.get("subject", ""), entry.get("data", {})))
            except (ValueError, KeyError, TypeError):
                raise HistoryError(f"{self.path / folder.EVENTS}:{number}: not an event: {line[:80]!r}") from None
        return events

    def requests(self, start_ns: int) -> Requests:
        stems = folder.sheets(self.path)
        requests = Requests.of_loads(map(self._load, stems), start_ns)
        self._know(requests, *stems)
        return requests

    def part(self, stem: str, start_ns: int) -> Requests:
        requests = Requests.as_written(*self._load(stem), start_ns)
        self._know(requests, stem)
        return requests

    def _know(self, requests: Requests, *stems: str) -> None:
        if any(kind.strange(len(requests.origins)) for kind in requests.kinds):
            names = ", ".join(f"{stem}.bin" for stem in stems)
            raise HistoryError(f"{self.path / folder.REQUESTS} ({names}): not records of requests, or overwritten")

    def _load(self, load: str) -> tuple[str, bytes | memoryview, list[str]]:
        """One file of a load. Records before names: names are written first, so those of all records read are there."""
        records = self._read(f"{folder.REQUESTS}/{load}.bin")
        whole = len(records) // RECORD.size * RECORD.size
        self.ragged |= whole != len(records)
        self.cut[f"{folder.REQUESTS}/{load}.bin"] = whole
        names = [name.decode("latin-1") for name in self._lines(f"{folder.REQUESTS}/{load}.names")]
        return load.partition("+")[0], records[:whole], names

    def hops(self, wall_start: float) -> Hops:
        return Hops([line.decode("utf-8", "replace") for line in self._tolerant(folder.HOPS)], wall_start)

    def spans(self, wall_start: float) -> Spans:
        return Spans(self._tolerant(folder.SPANS), wall_start)

    def _tolerant(self, name: str) -> list[bytes]:
        """Written in blocks: a ragged end is the rule while the writer lives, and no reason to mistrust the rest."""
        ragged = self.ragged
        lines = self._lines(name)
        self.ragged = ragged
        return lines


def open_run(path: Path) -> StoredRun:
    """HistoryError if there is no run at `path`."""
    data = folder.about(path)
    if data is None:
        raise HistoryError(f"{path} is not a run folder: it has no readable {folder.RUN}")
    if data["schema_version"] != folder.SCHEMA_VERSION:
        raise HistoryError(f"{path}: {_other_format(data)}")
    if lacking := [name for name in ("start_ns", "wall_start") if not isinstance(data.get(name), int | float)]:
        raise HistoryError(f"{path / folder.RUN} has no number {' and no number '.join(lacking)}: not written by a run")
    return StoredRun(path, data)


def _other_format(data: Mapping[str, Any]) -> str:
    """Which it is, and what to do: folders are read by the version that wrote them, and made again by its command."""
    told, writer = data["schema_version"], str(data.get("meshtest") or "unknown")
    newer = isinstance(told, int) and told > folder.SCHEMA_VERSION
    again = f"run it again: {data['command']}" if data.get("command") else "run it again"
    other = "upgrade meshtest" if newer else f"read it with the meshtest that wrote it (version {writer})"
    return f"written in format {told}; this meshtest reads {folder.SCHEMA_VERSION}: {other}, or {again}"


def judge_again(path: Path) -> Verdict:
    """The verdict of a stored run, from its records alone."""
    return open_run(path).judge()


def unfinished(reports: Path) -> list[Path]:
    """Runs whose process died before their end: what they started may still be there."""
    return [path for path, data in folder.runs(reports) if data.get("ended") is None and not folder.alive(data)]
