"""`meshtest webhook serve`, as a program: its sockets, its limits, how it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from meshtest.cli import BAD_INPUT, OK, TROUBLE, main
from meshtest.errors import UsageError
from meshtest.testing.certificates import CertificateAuthority
from meshtest.webhook.descriptors import connections
from meshtest.webhook.runs import RunState
from meshtest.webhook.server import listening
from meshtest.webhook.store import Store
from tests.conftest import Ground, Program

TOKEN = "0123456789abcdef"
SLOW = "import pathlib, time\ndef test_slow():\n    pathlib.Path({began!r}).touch()\n    time.sleep(300)\n"


def serve(ground: Ground, *words: object) -> tuple[Program, str]:
    """The program once it is ready, and where it listens."""
    ground.write("suites/quick/test_quick.py", "def test_quick(): pass\n")
    program = ground.meshtest("webhook", "serve", "--suites", "suites", *words)
    program.says("\n")
    found = re.match(r"listening on (\S+), suites: ", program.out)
    assert found, program
    return program, found[1]


def ask(url: str, method: str, path: str, payload: object = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, json.dumps(payload) if payload else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def said(connection: socket.socket) -> str:
    """Until it is closed by the other side."""
    connection.settimeout(60)
    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_sigterm_drains_then_ends_what_runs_and_keeps_it(ground: Ground) -> None:
    began = ground.folder / "began"
    ground.write("suites/slow/test_slow.py", SLOW.format(began=str(began)))
    ground.write("token", TOKEN)
    program, url = serve(ground, "--listen", ":0", "--token-file", "token", "--drain", "300")
    payload = {"name": "web", "namespace": "shop", "checksum": "c2", "phase": "Progressing"}
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(url, "GET", "/readyz") == (200, "OK")
    assert ask(url, "POST", "/hooks/pre-rollout/slow", payload)[0] == 401
    assert ask(url, "POST", "/hooks/pre-rollout/slow", payload, **bearer)[0] == 202
    program.until(began.exists, "the run's begin")
    program.signal(signal.SIGTERM)
    program.until(lambda: ask(url, "GET", "/readyz")[0] == 503, "draining")
    assert ask(url, "POST", "/hooks/pre-rollout/slow", payload, **bearer)[0] == 202, "it is still answered for"
    assert ask(url, "POST", "/hooks/pre-rollout/quick", payload, **bearer)[0] == 503
    program.signal(signal.SIGINT)  # a second signal: not 300 s
    assert program.wait() == OK
    assert TOKEN not in program.out + program.err
    assert "Traceback" not in program.err
    ground.nothing_left()
    with contextlib.closing(Store(ground.folder / "webhook-state")) as store:
        assert [run.state for run in store.runs()] == [RunState.INTERRUPTED]


def test_neither_a_full_disk_nor_the_want_of_files_costs_a_run(ground: Ground) -> None:
    program, url = serve(ground, "--listen", ":0", "--drain", "0", "--grace", "0")
    payload = {"name": "web", "namespace": "shop", "checksum": "c2", "phase": "Progressing"}
    endless = resource.RLIM_INFINITY
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (0, endless))
    for path in ("/gate/open", "/gate/open", "/hooks/pre-rollout/quick"):
        assert ask(url, "POST", path, payload)[0] == 503
    assert ask(url, "GET", "/readyz")[1].startswith("OK, but the state in webhook-state cannot be written")
    assert "meshtest_webhook_trouble 1" in ask(url, "GET", "/metrics")[1]
    assert json.loads(ask(url, "GET", "/runs")[1]) == {"runs": []}
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (endless, endless))
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("GET", "/readyz")
    assert connection.getresponse().read() == b"OK"
    files = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (3, files[1]))  # whoever is connected stays so
    connection.request("POST", "/hooks/pre-rollout/quick", json.dumps(payload))
    assert connection.getresponse().status == 202
    program.until(lambda: "waits: [Errno 24] Too many open files" in program.err, "trouble")
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, files)
    connection.close()
    program.until(lambda: list(ground.folder.glob("webhook-state/runs/*/begun")), "the run's begin")
    assert program.err.count("can be written again") == 1
    program.signal(signal.SIGTERM)
    assert program.wait() == OK
    assert "Traceback" not in program.err


def test_silent_connections_leave_files_for_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = list[tuple[int, int]]()
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: changed.append(limits))
    for limits, workers, found in (((256, 4096), 4, 1000), ((256, 256), 4, 176), ((10**6, 10**6), 4, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert connections(workers) == found
    assert changed == [(1080, 4096), (256, 256)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(UsageError, match=r"only 256 files may be open \(ulimit -n\), and with --workers 50 the"):
        connections(50)


def test_a_unix_socket_and_heads_that_are_none(ground: Ground) -> None:
    path = str(ground.temporary.with_name(f"{ground.temporary.name}.sock"))
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(path)  # nobody listens there any more: it is in the way, and replaced
    program, url = serve(ground, "--listen", f"unix:{path}")
    assert url == f"unix:{path}"
    heads = {
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": "HTTP/1.1 200 OK",
        b"GET / HTTP/1.1\r\n" + b"X-Large: %s\r\n" % (b"a" * 9000) * 9: "HTTP/1.1 431 Request Header Fields Too Large",
        b"nonsense\r\n\r\n": "HTTP/1.1 400 Bad Request",
    }
    for head, status in heads.items():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(head)
            assert said(connection).splitlines()[0] == status
    program.signal(signal.SIGINT)
    assert program.wait() == OK
    assert not Path(path).exists()
    assert "Traceback" not in program.err


def test_mutual_tls(ground: Ground) -> None:
    authority = CertificateAuthority()
    pair = authority.pair("localhost")
    pem, root = ground.write("gate.pem", pair.certificate + pair.key), ground.write("root.pem", authority.root)
    program, url = serve(ground, "--listen", "127.0.0.1:0", "--tls-cert", pem, "--client-ca", root)
    assert url.startswith("https://127.0.0.1:")
    host, port = url.removeprefix("https://").split(":")
    trusting = ssl.create_default_context(cafile=root)
    trusting.check_hostname = False
    for client in (False, True):
        if client:
            trusting.load_cert_chain(pem)
        connection = http.client.HTTPSConnection(host, int(port), context=trusting, timeout=60)
        try:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            assert client
        except (ssl.SSLError, ConnectionError):
            assert not client
        finally:
            connection.close()
    program.signal(signal.SIGTERM)
    assert program.wait() == OK


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    """40 ms for each, where head and body of it are two packets."""
    with listening("127.0.0.1:0") as bound, socket.create_connection(bound.getsockname()):
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class TestBadInput:
    """One line, and exit code 4; nothing is served."""

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--listen", "8080"], "--listen: '8080' is no HOST:PORT"),
            (["--listen", "a:b"], "--listen: 'a:b' is no HOST:PORT"),
            (["--listen", ":70000"], "--listen: ':70000' is no HOST:PORT"),
            (["--token-file", "none"], "--token-file: none: No such file"),
            (["--namespace", "("], "--namespace: '(' is no regular expression"),
            (["--client-ca", "x"], "--tls-key and --client-ca need --tls-cert"),
            (["--tls-cert", "none"], "--tls-cert none"),
            (["--suites", "none"], "none: no such folder"),
        ],
    )
    def test_it_says_what_is_wrong(
        self, words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        (tmp_path / "suites" / "a").mkdir(parents=True)
        (tmp_path / "suites" / "a" / "test_a.py").touch()
        handler: Any = signal.getsignal(signal.SIGTERM)
        try:
            assert main(["webhook", "serve", "--suites", "suites", "--listen", "127.0.0.1:0", *words]) == BAD_INPUT
        finally:
            signal.signal(signal.SIGTERM, handler)
        assert says in capsys.readouterr().err

    def test_a_port_that_is_taken(
        self, listener: socket.socket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        handler: Any = signal.getsignal(signal.SIGTERM)
        try:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            assert main(["webhook", "serve", "--suites", str(tmp_path), "--listen", address]) == TROUBLE
        finally:
            signal.signal(signal.SIGTERM, handler)
        assert f"cannot listen on {address}: Address already in use (choose with --listen)" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["webhook"], "the following arguments are required: COMMAND"),
            (["webhook", "serv"], "invalid choice: 'serv'"),
            (["webhook", "serve"], "the following arguments are required: --suites"),
            (["webhook", "serve", "--suites", ".", "--workers", "0"], "'0' is no whole number above 0"),
            (["webhook", "serve", "--suites", ".", "--drain", "x"], "'x' are no seconds"),
            (["webhook", "serve", "--suites", ".", "--grace", "-1"], "argument --grace: '-1' are no seconds"),
            (["webhook", "serve", "--suites", ".", "--keep-runs", "all"], "'all' is no whole number above 0"),
            (["webhook", "serve", "--suites", ".", "--keep-days", "0"], "argument --keep-days: '0' is no whole number"),
            (["webhook", "serve", "--suites", ".", "--output-limit", "4M"], "'4M' is no whole number above 0"),
            (["webhook", "serve", "--suites", ".", "--nonsense"], "unrecognized arguments: --nonsense"),
        ],
    )
    def test_wrong_words(self, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as raised:
            main(words)
        assert raised.value.code == BAD_INPUT
        assert says in capsys.readouterr().err

    def test_the_list_of_commands_imports_none_of_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as raised:
            main(["webhook", "--help"])
        assert raised.value.code == OK
        assert "serve" in capsys.readouterr().out
