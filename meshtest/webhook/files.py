"""`/reports/ID/...`: what a run has left in its folder, and nothing else.

A path is looked at twice: as text (no `..`, no hidden file), and once more when the file is open, by the name that the
kernel knows it by, so that a link that a test has put there leads nowhere else. Pages are shown in a sandbox: a report
quotes what services said, and may hold scripts, but they have no business with the endpoint that serves it.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from meshtest.webhook import page
from meshtest.webhook.answers import HTML, JSON, TEXT, Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.refusal import Refusal, shown

LARGEST = 64 * 1024 * 1024
MOST_LISTED = 2000
MEDIA = {
    ".html": HTML, ".json": JSON, ".png": "image/png", ".svg": "image/svg+xml",
    **dict.fromkeys((".txt", ".log", ".xml", ".jsonl", ".tsv", ".csv", ".diff", ".md", ".yaml", ".names"), TEXT),
}  # fmt: skip
"""XML as text: a browser would run what it finds in it. What is not here is offered for download."""
SANDBOX: Mapping[str, str] = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


async def listing(endpoint: Endpoint, call: Call) -> Reply:
    """The files of a run, for people."""
    run = endpoint.run(call.words["id"])
    files = await asyncio.to_thread(lambda: sorted(_files(endpoint.store.folder / run.folder)))
    return Reply(body=page.of_run(endpoint, run, files), media=HTML, headers=page.POLICY)


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    count = 0
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(at, name)
            if not name.startswith(".") and not path.is_symlink() and count < MOST_LISTED:
                count += 1
                yield str(path.relative_to(folder)), path.stat().st_size


async def file(endpoint: Endpoint, call: Call) -> Reply:
    run = endpoint.run(call.words["id"])
    name = call.words["path"]
    if any(part.startswith(".") or not part or "\0" in part for part in name.split("/")):
        raise _no_file(name)
    body = await asyncio.to_thread(_read, endpoint.store.folder / run.folder, name)
    media = MEDIA.get(Path(name).suffix)
    download = {} if media else {"Content-Disposition": "attachment"}
    return Reply(body=body, media=media or "application/octet-stream", headers={**SANDBOX, **download})


def _read(folder: Path, name: str) -> bytes:
    try:
        opened = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise _no_file(name) from None
    try:
        about = os.fstat(opened)
        real = Path(os.readlink(f"/proc/self/fd/{opened}"))
        if not stat.S_ISREG(about.st_mode) or not real.is_relative_to(folder.resolve()):
            raise _no_file(name)
        if about.st_size > LARGEST:
            raise Refusal(403, f"{shown(name)} has {about.st_size} bytes, more than is served here; it is on the disk")
        with open(opened, "rb", closefd=False) as reading:
            return reading.read()
    finally:
        os.close(opened)


def _no_file(name: str) -> Refusal:
    return Refusal(404, f"the run has no file {shown(name)}")
