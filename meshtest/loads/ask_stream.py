"""What has no one request and answer: a WebSocket, or plain TCP. One thing is said, and heard what comes back.

WebSocket: opened, the body sent as a message, heard until it comes back (without a body: the first message), closed.
TCP: the body sent, heard until as much has come back; if it is a line (or nothing), until a line has; or the end.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from meshtest.loads import ask_http1
from meshtest.loads.line import Heard, Line, Trouble

if TYPE_CHECKING:
    from meshtest.loads.ask import Ask

QUESTION = b"meshtest\n"
"""What a stand-in answers on a TCP port with one line of JSON."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def speak(line: Line, what: Ask, heard: Heard, *, proxy: bool) -> None:
    if what.protocol == "tcp":
        _tcp(line, QUESTION if what.body == b"" else what.body, heard)
    else:
        _websocket(line, what, heard, proxy)


def _tcp(line: Line, body: bytes, heard: Heard) -> None:
    line.send(body)
    while not (heard.body.endswith(b"\n") if body.endswith(b"\n") else len(heard.body) >= len(body)):
        data = line.receive()
        if not data:
            if heard.body:
                return
            raise Trouble("closed", "the peer closed the connection without a word")
        heard.body += data


def _websocket(line: Line, what: Ask, heard: Heard, proxy: bool) -> None:
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    upgrade = (
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key),
    )
    rest = ask_http1.converse(line, ask_http1.request(what, proxy=proxy, extra=upgrade), heard)
    if heard.status != 101:
        return
    if dict(heard.headers).get("sec-websocket-accept") != _accept(key):
        raise Trouble("garbled", "the answer accepts another WebSocket than was asked for")
    try:
        _Talk(line, what.body, heard).hold(rest)
    except (RemoteProtocolError, LocalProtocolError) as error:
        raise Trouble("garbled", f"the frames are no WebSocket: {error}") from None


class _Talk:
    """From the opening to the close."""

    def __init__(self, line: Line, body: bytes, heard: Heard) -> None:
        self._line, self._body, self._heard = line, body, heard
        self._frames = Connection(ConnectionType.CLIENT)
        self._part: list[bytes] = []

    def hold(self, rest: bytes) -> None:
        if self._body:
            self._line.send(self._frames.send(_message(self._body)))
        self._frames.receive_data(rest)
        self._take_events()
        while self._frames.state is not ConnectionState.CLOSED:
            if self._satisfied() and self._frames.state is ConnectionState.OPEN:
                self._line.send(self._frames.send(CloseConnection(1000)))
            data = self._line.receive()
            if not data:
                break
            self._frames.receive_data(data)
            self._take_events()
        if not self._satisfied():
            raise Trouble("closed", f"the peer closed the WebSocket (code {self._heard.close_code})")

    def _satisfied(self) -> bool:
        messages = self._heard.messages
        return self._body in messages if self._body else bool(messages)

    def _take_events(self) -> None:
        for event in self._frames.events():
            if isinstance(event, TextMessage | BytesMessage):
                data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                self._part.append(data)
                if event.message_finished:
                    self._heard.messages.append(b"".join(self._part))
                    self._part.clear()
            elif isinstance(event, Ping):
                self._line.send(self._frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                self._heard.close_code = int(event.code)
                if self._frames.state is ConnectionState.REMOTE_CLOSING:
                    self._line.send(self._frames.send(event.response()))


def _message(body: bytes) -> TextMessage | BytesMessage:
    try:
        return TextMessage(body.decode())
    except UnicodeDecodeError:
        return BytesMessage(body)


def _accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
