"""Planted: a web that is gone for 5 ms, ten times. It resets its connections and refuses new ones, then is back.

Its time begins with the first request. `GET /outages` tells when it was gone, as it knows itself: pairs of ns of
CLOCK_MONOTONIC, the clock of the run.
"""

import json
import random
import selectors
import socket
import struct
import sys
import time

GONE, TIMES = 0.005, 10
RESET = struct.pack("ii", 1, 0)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"

chance = random.Random(5)
ready = selectors.DefaultSelector()
users: dict[socket.socket, bytes] = {}
outages: list[tuple[int, int]] = []


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    listener.setblocking(False)
    ready.register(listener, selectors.EVENT_READ)
    return listener


def accept(listener: socket.socket) -> None:
    try:
        user = listener.accept()[0]
    except BlockingIOError:
        return
    users[user] = b""
    ready.register(user, selectors.EVENT_READ)


def drop(user: socket.socket) -> None:
    del users[user]
    ready.unregister(user)
    user.close()


def serve(user: socket.socket) -> bool:
    """True if there was a request."""
    try:
        data = user.recv(65536)
        users[user] += data
        *heads, users[user] = users[user].split(b"\r\n\r\n")
        for head in heads:
            body = json.dumps(outages).encode() if b"/outages " in head else b"{}"
            user.sendall(OK % (len(body), body))
    except OSError:
        data, heads = b"", []
    if not data:
        drop(user)
    return bool(heads)


def go(listener: socket.socket) -> socket.socket:
    """Away, and back."""
    ready.unregister(listener)
    listener.close()
    for user in list(users):
        user.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        drop(user)
    begin = time.monotonic_ns()
    time.sleep(GONE)
    end = time.monotonic_ns()
    outages.append((begin, end))
    return listen()


def next_time() -> float:
    """At a random phase; in step with the load, it would always be hit by as many requests."""
    return time.monotonic() + chance.uniform(0.12, 0.15)


listener, due = listen(), float("inf")
while True:
    pause = None if due == float("inf") else max(due - time.monotonic(), 0)
    for key, _ in ready.select(pause):
        if key.fileobj is listener:
            accept(listener)
        elif key.fileobj in users and serve(key.fileobj) and due == float("inf") and not outages:
            due = next_time()
    if time.monotonic() >= due:
        listener = go(listener)
        due = next_time() if len(outages) < TIMES else float("inf")
