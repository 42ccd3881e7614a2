"""The access log of all proxies while Envoy writes it. Not here: what a line means (meshtest.model.history)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from meshtest.errors import ProviderError
from meshtest.lib import wait
from meshtest.lib.words import listed
from meshtest.model.history import ID_FIELD


class HopLog:
    """Envoy writes it in blocks, every 20 ms or 64 KiB."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._offset = 0
        self._rest = b""
        self._seen: set[bytes] = set()

    def flush(self, request_ids: Sequence[str], within: float = 2.0) -> None:
        """Return when each of these requests has a line; ProviderError says which have none."""
        missing = {i.encode() for i in request_ids} - self._seen

        def complete() -> bool:
            if missing:
                self._read()
                missing.difference_update(self._seen)
            return not missing

        def what() -> str:
            some = listed(sorted(i.decode() for i in missing), most=3)
            return f"no access-log line within {within:g} s for {len(missing)} of {len(request_ids)} requests: {some}"

        try:
            wait.until(complete, within=within, what=what)
        except TimeoutError as error:
            raise ProviderError(str(error)) from None

    def _read(self) -> None:
        """Take in the request ids of the lines that were added since the last look."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = self._rest + file.read()
            self._offset = file.tell()
        *lines, self._rest = data.split(b"\n")
        self._seen.update(line.split(b"\t", ID_FIELD + 1)[ID_FIELD] for line in lines if line.count(b"\t") > ID_FIELD)
