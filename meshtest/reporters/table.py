"""Requests as a table for other programs: CSV by the standard library, Parquet by pyarrow if it is there.

A row a request, the units in the names of the columns. Rows are written as they are read, a block at a time: what is in
memory does not grow with the run. Not here: which run (cli/export.py), histograms (hdr.py).
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from meshtest.errors import UsageError
from meshtest.model.request import Request

BLOCK = 65_536
"""Rows of a row group of Parquet."""

Column = tuple[str, str, Callable[[Request], Any]]
"""Name, type (by pyarrow's names; `word` is a string with few different values), and where it comes from."""

COLUMNS: tuple[Column, ...] = (
    ("load", "word", lambda r: r.load),
    ("index", "uint32", lambda r: r.index),
    ("intended_s", "float64", lambda r: r.at),
    ("sent_s", "float64", lambda r: r.sent_at),
    ("first_byte_s", "float64", lambda r: None if r.first_byte is None else r.at + r.first_byte),
    ("done_s", "float64", lambda r: None if r.latency is None else r.at + r.latency),
    ("latency_s", "float64", lambda r: r.latency),
    ("fate", "word", lambda r: r.fate.name.lower()),
    ("status", "uint16", lambda r: r.status or None),
    ("code", "uint8", lambda r: r.code),
    ("service", "word", lambda r: r.server.service or None),
    ("version", "word", lambda r: r.server.version or None),
    ("pod", "word", lambda r: r.server.pod or None),
    ("attempts", "uint8", lambda r: r.attempts or None),
    ("transport", "word", lambda r: r.transport.name.lower()),
    ("lane", "word", lambda r: r.lane.name.lower()),
    ("reused", "bool_", lambda r: r.reused),
    ("target", "uint16", lambda r: r.target),
    ("size_bytes", "uint32", lambda r: r.size),
)
"""Times are seconds of the run's clock; `epoch_s`, the last column, is the intended time on the wall clock."""


def names() -> list[str]:
    return [*(name for name, _, _ in COLUMNS), "epoch_s"]


def write_csv(requests: Iterable[Request], file: TextIO, wall_start: float) -> int:
    """With a header; what is not known is empty. Returns the number of rows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names())
    rows = 0
    for request in requests:
        writer.writerow([_told(get(request)) for _, _, get in COLUMNS] + [f"{wall_start + request.at:.7f}"])
        rows += 1
    return rows


def _told(value: Any) -> Any:
    """Times to the 100 ns they are recorded in."""
    if isinstance(value, float):
        return f"{value:.7f}"
    return str(value).lower() if isinstance(value, bool) else value


def write_parquet(requests: Iterable[Request], path: Path, wall_start: float) -> int:
    """Needs pyarrow. Returns the number of rows."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError("--parquet needs pyarrow: pip install 'meshtest[export]'") from None
    kinds = [(name, _kind(pyarrow, kind)) for name, kind, _ in COLUMNS]
    schema = pyarrow.schema([*kinds, ("epoch_s", pyarrow.float64())])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for block in _blocks(requests):
            data = [[get(r) for r in block] for _, _, get in COLUMNS] + [[wall_start + r.at for r in block]]
            writer.write_table(pyarrow.Table.from_arrays(_arrays(pyarrow, data, schema), schema=schema))
            count += len(block)
    return count


def _kind(pyarrow: Any, kind: str) -> Any:
    return pyarrow.dictionary(pyarrow.int32(), pyarrow.string()) if kind == "word" else getattr(pyarrow, kind)()


def _arrays(pyarrow: Any, data: list[list[Any]], schema: Any) -> list[Any]:
    return [pyarrow.array(values, type=field.type) for values, field in zip(data, schema, strict=True)]


def _blocks(requests: Iterable[Request]) -> Iterator[list[Request]]:
    rows = iter(requests)
    while block := list(itertools.islice(rows, BLOCK)):
        yield block
