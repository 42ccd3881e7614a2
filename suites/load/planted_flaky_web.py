"""Planted: a web that is gone for 5 ms, ten times. It resets its connections and refuses new ones, then is back.

What it was asked and has not answered goes with it; what it only refuses, its own proxy sends again, as in Istio.

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
OUTAGES = b" /outages "
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


def asked(user: socket.socket) -> list[bytes]:
    """The requests that have come in full; a user who has left is dropped."""
    try:
        data = user.recv(65536)
    except OSError:
        data = b""
    if not data:
        drop(user)
        return []
    *heads, users[user] = (users[user] + data).split(b"\r\n\r\n")
    return heads


def answer(user: socket.socket, heads: list[bytes]) -> None:
    try:
        for head in heads:
            body = json.dumps(outages).encode() if OUTAGES in head else b"{}"
            user.sendall(OK % (len(body), body))
    except OSError:
        drop(user)


def go(listener: socket.socket) -> socket.socket:
    """Away, and back."""
    begin = time.monotonic_ns()
    ready.unregister(listener)
    listener.close()
    for user in list(users):
        user.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        drop(user)
    time.sleep(GONE)
    end = time.monotonic_ns()
    outages.append((begin, end))
    return listen()


def next_time() -> float:
    if len(outages) == TIMES:
        return float("inf")
    return time.monotonic() + chance.uniform(0.12, 0.15)


listener, due = listen(), 0.0
while True:
    for key, _ in ready.select():
        if key.fileobj is listener:
            accept(listener)
        elif key.fileobj in users and (heads := asked(key.fileobj)):
            due = due or next_time()
            if time.monotonic() >= due and OUTAGES not in heads[0]:
                listener = go(listener)
                due = next_time()
            else:
                answer(key.fileobj, heads)
