"""A range to fire at: the real Envoy with RBAC filters as they would be installed, where every fact can be made true.

    client ──PROXY header (addresses, port)── TLS (identity, server name)──► [lua: claims, metadata] [rbac...] 200
                                                                         └─► [network rbac] echo
Identities are certificates of a CA of our own. Which filters a request meets is chosen by its header `x-case`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from meshtest_envoy import envoy

from meshtest.lib.wait import until
from meshtest.manifests.istio_security.decide import Facts
from meshtest.testing.certificates import CertificateAuthority

TYPE = "type.googleapis.com/envoy.extensions."
PLACES = 3
"""Most filters a case has."""

LUA = """
function envoy_on_request(handle)
  local claims, found = {}, false
  for name, value in pairs(handle:headers()) do
    if name == "x-claim" then
      found = true
      local path, text = value:match("^([^=]*)=(.*)$")
      local inner, last = claims, nil
      for key in path:gmatch("[^.]+") do
        if last then inner[last] = inner[last] or {}; inner = inner[last] end
        last = key
      end
      inner[last] = text
    elseif name == "x-metadata" then
      local filter, key, text = value:match("^([^|]*)|([^=]*)=(.*)$")
      handle:streamInfo():dynamicMetadata():set(filter, key, text)
    end
  end
  if found then
    handle:streamInfo():dynamicMetadata():set("envoy.filters.http.jwt_authn", "payload", claims)
  end
end
"""


class Authority:
    """A CA, and files of a certificate for every identity asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._authority = folder, CertificateAuthority()
        self._made: dict[str, tuple[Path, Path]] = {}
        self.ca = self._write("ca.pem", self._authority.root)

    def issue(self, identity: str) -> tuple[Path, Path]:
        """Files of a certificate for `spiffe://IDENTITY`, and of its key."""
        if identity not in self._made:
            pair, number = self._authority.pair(f"spiffe://{identity}"), len(self._made)
            self._made[identity] = (
                self._write(f"{number}.pem", pair.certificate),
                self._write(f"{number}.key", pair.key),
            )
        return self._made[identity]

    def _write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        return path


class Range:
    """Use `range_of(...)`."""

    def __init__(self, authority: Authority, http: int, tcp: Mapping[str, int]) -> None:
        self._authority, self._http, self._tcp = authority, http, tcp
        self._open: dict[tuple[Any, ...], ssl.SSLSocket] = {}

    def status(self, case: str, facts: Facts) -> int:
        """What a request with these facts is answered. Connections are kept: facts of one connection share it."""
        key = (facts.identity, facts.server_name, facts.source_ip, facts.destination_ip, facts.port)
        for attempt in (0, 1):
            if key not in self._open:
                self._open[key] = self._connect(self._http, facts)
            try:
                self._open[key].sendall(request(case, facts))
                return self._answer(self._open[key])
            except (OSError, ValueError):
                self._open.pop(key).close()
                if attempt:
                    raise
        raise AssertionError

    def lets_in(self, case: str, facts: Facts) -> bool:
        """Whether a TCP connection gets its bytes back."""
        with contextlib.closing(self._connect(self._tcp[case], facts)) as connection:
            try:
                connection.sendall(b"ping")
                return connection.recv(4) == b"ping"
            except OSError:
                return False

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()

    def _connect(self, port: int, facts: Facts) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=5)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise each connection waits 40 ms for an ACK
        plain.sendall(f"PROXY TCP4 {facts.source_ip} {facts.destination_ip} 40000 {facts.port}\r\n".encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if facts.identity:
            context.load_cert_chain(*self._authority.issue(facts.identity))
        return context.wrap_socket(plain, server_hostname=facts.server_name or None)

    @staticmethod
    def _answer(connection: ssl.SSLSocket) -> int:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                raise OSError("closed")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        return int(head.split(b" ", 2)[1])


def request(case: str, facts: Facts) -> bytes:
    headers = {"host": facts.host, "x-case": case, **facts.headers}
    if facts.remote_ip:
        headers["x-forwarded-for"] = facts.remote_ip
    lines = [f"{facts.method} {facts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"x-claim: {path}={value}" for path, value in flat(facts.claims or {})]
    lines += [f"x-metadata: {name}|{key}={v}" for name, pairs in facts.metadata.items() for key, v in pairs.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def flat(claims: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in claims.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@contextlib.contextmanager
def range_of(
    folder: Path, http: Mapping[str, Sequence[Any]], tcp: Mapping[str, Sequence[Any]], name: str = "range"
) -> Iterator[Range]:
    """Envoy with the RBAC configurations of each case."""
    authority = Authority(folder)
    ports = free_ports(1 + len(tcp))
    tcp_ports = dict(zip(tcp, ports[1:], strict=True))
    socket_ = folder / "admin.sock"
    tls = transport(authority)
    listeners = [listener("http", ports[0], [manager(http)], tls)]
    listeners += [listener(case, tcp_ports[case], network(configs), tls) for case, configs in tcp.items()]
    config = {"admin": {"address": {"pipe": {"path": str(socket_)}}}, "static_resources": {"listeners": listeners}}
    path, log = folder / f"{name}.json", folder / f"{name}.log"
    path.write_text(json.dumps(config))
    command = [envoy.binary(), "-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until(lambda: listening(ports) or process.poll() is not None, within=20, what=log.read_text)
            assert process.poll() is None, log.read_text()
            made = Range(authority, ports[0], tcp_ports)
            yield made
            made.close()
        finally:
            process.kill()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


def listening(ports: Sequence[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return False
    return True


def listener(name: str, port: int, filters: list[Any], tls: Any) -> Any:
    inspect = [
        {"name": "proxy", "typed_config": {"@type": f"{TYPE}filters.listener.proxy_protocol.v3.ProxyProtocol"}},
        {"name": "tls", "typed_config": {"@type": f"{TYPE}filters.listener.tls_inspector.v3.TlsInspector"}},
    ]
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "listener_filters": inspect,
        "filter_chains": [{"filters": filters, "transport_socket": tls}],
    }


def transport(authority: Authority) -> Any:
    certificate, key = authority.issue("range")
    common = {
        "tls_certificates": [
            {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
        ],
        "validation_context": {"trusted_ca": {"filename": str(authority.ca)}},
    }
    url = f"{TYPE}transport_sockets.tls.v3.DownstreamTlsContext"
    context = {"@type": url, "common_tls_context": common, "require_client_certificate": False}
    return {"name": "tls", "typed_config": context}


def manager(cases: Mapping[str, Sequence[Any]]) -> Any:
    url = f"{TYPE}filters.http."
    guards = [{"name": f"rbac{i}", "typed_config": {"@type": f"{url}rbac.v3.RBAC"}} for i in range(PLACES)]
    lua = {"@type": f"{url}lua.v3.Lua", "default_source_code": {"inline_string": LUA}}
    routes = [
        {
            "match": {"prefix": "/", "headers": [{"name": "x-case", "string_match": {"exact": case}}]},
            "direct_response": {"status": 200},
            "typed_per_filter_config": {
                f"rbac{i}": {"@type": f"{url}rbac.v3.RBACPerRoute", "rbac": config} for i, config in enumerate(configs)
            },
        }
        for case, configs in cases.items()
    ]
    http = {
        "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "range",
        "http_protocol_options": {"allow_custom_methods": True},
        "http_filters": [
            {"name": "lua", "typed_config": lua},
            *guards,
            {"name": "router", "typed_config": {"@type": f"{url}router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    return {"name": "http", "typed_config": http}


def network(configs: Sequence[Any]) -> list[Any]:
    url = f"{TYPE}filters.network."
    guards = [
        {"name": f"rbac{i}", "typed_config": {"@type": f"{url}rbac.v3.RBAC", "stat_prefix": "tcp.", **config}}
        for i, config in enumerate(configs)
    ]
    return [*guards, {"name": "echo", "typed_config": {"@type": f"{url}echo.v3.Echo"}}]
