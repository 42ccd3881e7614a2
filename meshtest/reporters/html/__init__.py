"""A run as a page: one file, no network, readable without a script. And the index of the runs of a folder.

Not here: which run, where the file goes and when (cli/report.py, the pytest plugin); its data as JSON (jsonl.py).
"""

from __future__ import annotations

from meshtest.reporters.html.index import Entry, entry, index
from meshtest.reporters.html.page import page, write

__all__ = ["Entry", "entry", "index", "page", "write"]
