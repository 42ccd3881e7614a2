"""What an exception of Locust's HTTP clients says about the request. Pure: names, no import of any client."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from meshtest.model.record import CLOSED, GARBLED, NOT_SENT, REFUSED, RESET, TIMEOUT, TLS

_BY_NAME = {
    "ConnectionRefusedError": REFUSED, "gaierror": REFUSED, "NameResolutionError": REFUSED,
    "RemoteDisconnected": CLOSED, "InvalidChunkLength": GARBLED, "IncompleteRead": CLOSED,
    "SSLEOFError": CLOSED, "SSLZeroReturnError": CLOSED,
    "ConnectionResetError": RESET, "BrokenPipeError": RESET, "ConnectionAbortedError": RESET,
    "TimeoutError": TIMEOUT, "Timeout": TIMEOUT,
    "SSLError": TLS, "CertificateError": TLS,
    "HTTPParseError": GARBLED, "HTTPException": GARBLED, "DecodeError": GARBLED,
    "InvalidHeader": GARBLED,  # urllib3's, of an answer; that of requests is raised before there is a request
}  # fmt: skip
"""The first match in the order of an exception's classes; so RemoteDisconnected, which is a ConnectionResetError and a
BadStatusLine (an HTTPException) too, is what it says."""

_BY_NUMBER = {
    errno.EHOSTUNREACH: REFUSED, errno.ENETUNREACH: REFUSED, errno.ETIMEDOUT: TIMEOUT, errno.EMFILE: NOT_SENT,
    errno.ENFILE: NOT_SENT, errno.EADDRNOTAVAIL: NOT_SENT, errno.ENOBUFS: NOT_SENT, errno.ENOMEM: NOT_SENT,
}  # fmt: skip

_CUT = ("EOF", "Incomplete", "closed")
"""In the text of geventhttpclient's parse error when the connection ended inside an answer; the self-test would notice
other words."""


def fate_of(error: BaseException) -> int:
    """The fate of a request that ended with this error. What is no trouble of the network or the answer - the user was
    ended, a header was not valid - proves nothing about the mesh: not sent."""
    for cause in _causes(error):
        known = _fate(cause)
        if known is not None:
            return known
    return NOT_SENT


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The deepest first: clients wrap the error of the socket in their own, as cause or as argument."""
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
    for argument in error.args:
        if isinstance(argument, BaseException) and argument is not error.__cause__:
            yield from _causes(argument)
    yield error


def _fate(error: BaseException) -> int | None:
    names = [kind.__name__ for kind in type(error).__mro__]
    if "HTTPConnectionClosed" in names:  # geventhttpclient's word for an end before the first byte, by RST or by FIN
        return RESET if isinstance(error.__context__, ConnectionResetError) else CLOSED
    if "HTTPParseError" in names and any(word in str(error) for word in _CUT):
        return CLOSED
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    known = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    return RESET if known is None and isinstance(error, OSError) else known
