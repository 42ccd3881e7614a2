"""Who may ask, and what a payload may be: every refusal with its status and its line, and nothing done."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.webhook import auth
from meshtest.webhook.auth import Guard, signature
from meshtest.webhook.payload import parse
from meshtest.webhook.refusal import Refusal
from tests.webhook.endpoint.site import Answer, Site, asked

TOKEN, KEY = "0123456789abcdef", b"a key of some length"
BODY = json.dumps({"name": "web", "namespace": "shop", "checksum": "c2"}).encode()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


class TestCredentials:
    @pytest.fixture(autouse=True)
    def guarded(self, site: Site) -> None:
        site.endpoint.guard = Guard(tokens=(b"the other one 123", TOKEN.encode()), key=KEY)

    def ask(self, site: Site, path: str = "/hooks/pre-rollout/smoke", body: bytes = BODY, **headers: str) -> Answer:
        return site.ask("POST", path, body, headers)

    def test_without_one(self, site: Site) -> None:
        answer = self.ask(site)
        assert answer[:2] == (401, "a token is needed\n")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert not site.store.runs()

    @pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic(TOKEN), "Bearer the other one 123"])
    def test_in_the_header(self, site: Site, header: str) -> None:
        assert self.ask(site, authorization=header).status == 202

    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer x", basic("x"), "Basic %", "Digest x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"]
    )
    def test_a_wrong_one_in_the_header(self, site: Site, header: str) -> None:
        assert self.ask(site, authorization=header)[:2] == (401, "wrong token\n")

    def test_in_the_metadata_where_it_is_no_parameter(self, site: Site) -> None:
        assert site.hook("pre-rollout/smoke", "c2", token=TOKEN).status == 202
        assert TOKEN not in str(site.run())
        assert site.hook("pre-rollout/smoke", "c2", token="no")[:2] == (401, "wrong token or signature\n")

    def test_a_signature_is_good_for_one_address_of_one_canary(self, site: Site) -> None:
        path = "/hooks/pre-rollout/smoke"
        signed = signature(KEY, path, "shop", "web")
        assert self.ask(site, f"{path}?signature={signed}").status == 202
        assert site.hook("pre-rollout/smoke", "c2", signature=signed).status == 202
        assert self.ask(site, f"/hooks/rollback/smoke?signature={signed}").status == 401
        assert self.ask(site, f"{path}?signature={signed}", BODY.replace(b"web", b"api")).status == 401
        assert self.ask(site, f"{path}?signature={signed[:-1]}").status == 401

    def test_pages_want_one_as_well_and_probes_do_not(self, site: Site) -> None:
        for path in ("/", "/runs", "/metrics", "/openapi.json", "/reports/x/", "/nonsense"):
            assert site.get(path).status == 401, path
        assert site.get("/", authorization=basic(TOKEN)).status == 200
        assert site.get("/healthz").status == site.get("/readyz").status == 200

    def test_the_signature_of_a_page(self, site: Site) -> None:
        assert site.get(f"/runs?signature={signature(KEY, '/runs', '', '')}").status == 200

    def test_none_of_it_is_printed(self) -> None:
        guard = Guard(tokens=(TOKEN.encode(),), key=KEY)
        assert TOKEN not in repr(guard)
        assert "length" not in repr(guard)


class TestOrigin:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 202),
            ({"origin": "http://gate", "host": "gate"}, 202),
            ({"origin": "http://evil", "host": "gate"}, 403),
            ({"origin": "null", "host": "gate"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "same-origin"}, 202),
        ],
    )
    def test_a_page_of_another_origin_changes_nothing(self, site: Site, headers: dict[str, str], status: int) -> None:
        assert site.ask("POST", "/gate/open", BODY, headers).status == status
        assert (site.gate() is not None) is (status == 202)


class TestFiles:
    """--token-file, --hmac-key-file, --namespace."""

    def test_several_tokens_and_a_comment(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text(f"# of last week\n{TOKEN}\n\n  the other one 123 \n")
        made = auth.guard(tmp_path / "t", None, ["shop-.*"])
        assert made.tokens == (TOKEN.encode(), b"the other one 123")

    @pytest.mark.parametrize(("text", "why"), [("", "holds none"), ("geheim\n", "less than 16 characters")])
    def test_what_is_no_secret(self, tmp_path: Path, text: str, why: str) -> None:
        (tmp_path / "t").write_text(text)
        with pytest.raises(UsageError, match=why) as raised:
            auth.guard(tmp_path / "t", None, [])
        assert "geheim" not in str(raised.value).replace(str(tmp_path), "")

    def test_no_such_file_and_no_such_expression(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"--hmac-key-file: .*: No such file"):
            auth.guard(None, tmp_path / "x", [])
        with pytest.raises(UsageError, match="--namespace: '\\(' is no regular expression"):
            auth.guard(None, None, ["("])


class TestPayloadAsGoReadsIt:
    def test_the_case_of_keys_does_not_matter(self) -> None:
        assert parse(b'{"NAME": "web", "Namespace": "shop", "checkSum": "c"}').canary == ("shop", "web")

    @pytest.mark.parametrize("body", [b"null", b"{}", b'{"name": null, "metadata": null}', b'\n {"x": [1e999, {}]} '])
    def test_what_is_not_there_is_empty(self, body: bytes) -> None:
        found = parse(body)
        assert (found.name, found.metadata) == ("", {})

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "the body is empty; a JSON object with name and namespace was expected"),
            (b"  ", "the body is empty; a JSON object with name and namespace was expected"),
            (b"[]", "the body is not a JSON object"),
            (b'"x"', "the body is not a JSON object"),
            (b'{"name": "a"} x', "the body is not JSON: Extra data at line 1 column 15"),
            (b'{"name": "a", "name": "b"}', "key 'name' comes twice"),
            (b'{"name": "a", "Name": "b"}', "key 'name' comes twice, in different case"),
            (b'{"metadata": {"k": "a", "k": "b"}}', "key 'k' comes twice"),
            (b'{"name": 1}', "name is not a string"),
            (b'{"metadata": []}', "metadata is not an object"),
            (b'{"metadata": {"k": true}}', "metadata 'k' is not a string"),
            (b'{"metadata": {"k": "\\u0000"}}', "metadata 'k' holds signs that are no text"),
            (b'{"metadata": {"k": "\\ud800"}}', "metadata 'k' holds signs that are no text"),
            (b'{"name": "../../etc"}', "name: '../../etc' is none"),
            (b'{"name": "Web"}', "name: 'Web' is none"),
            (b'{"name": "a\\u0000"}', "name: 'a\\x00' is none"),
            (b'{"namespace": "a.b"}', "namespace: 'a.b' is none"),
            (b'{"checksum": "a/b"}', "checksum: 'a/b' is none"),
            (b'{"phase": "x y"}', "phase: 'x y' is none"),
            (b'{"name": "' + b"a" * 254 + b'"}', f"name: '{'a' * 60}...' is none"),
            (b'{"x": NaN}', "the body is not JSON: NaN is no value"),
            (b'{"name": "\xff"}', "the body is not UTF-8"),
            (
                b"\xef\xbb\xbf{}",
                "the body is not JSON: Expecting value at line 1 column 1",
            ),
            (b"[" * 100_000, "the body is nested too deeply"),
            (b'{"a":' * 100_000, "the body is nested too deeply"),
        ],
    )
    def test_what_is_none(self, body: bytes, why: str) -> None:
        with pytest.raises(Refusal) as raised:
            parse(body)
        assert (raised.value.status, raised.value.reason) == (400, why)

    def test_a_number_of_a_million_digits_is_read_at_once_as_nothing_is_made_of_it(self) -> None:
        assert parse(b'{"x": ' + b"9" * 1_000_000 + b"}").name == ""

    def test_metadata_may_hold_lines(self) -> None:
        assert parse(b'{"metadata": {"script": "a\\n\\tb"}}').metadata == {"script": "a\n\tb"}


class TestBody:
    def parts(self, site: Site, *parts: bytes | None, **headers: str) -> Answer:
        return site.wait(asked(site.app, "POST", "/gate/open", list(parts), headers))

    def test_too_large_by_its_own_word(self, site: Site) -> None:
        answer = site.ask("POST", "/gate/open", b"", {"Content-Length": "9" * 30})
        assert (answer.status, answer.line) == (413, "the body has more than 4096 bytes (--body-limit)")

    def test_too_large_in_truth(self, site: Site) -> None:
        assert self.parts(site, *[b" " * 1000] * 5).status == 413

    def test_one_that_does_not_come_whole(self, site: Site) -> None:
        assert self.parts(site, b"{", None).status == 400
        assert site.gate() is None

    def test_in_pieces(self, site: Site) -> None:
        assert self.parts(site, *(bytes([one]) for one in BODY)).status == 202


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/gate/open", "POST"),
        ("PUT", "/hooks/pre-rollout/smoke", "POST"),
        ("DELETE", "/runs", "GET, HEAD"),
        ("PATCH", "/", "GET, HEAD, POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("BREW", "/argo/smoke", "GET, HEAD, POST"),
    ],
)
def test_another_method_is_told_which(site: Site, method: str, path: str, allow: str) -> None:
    answer = site.ask(method, path, BODY)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert answer.line == f"'{method}' is no method of this path; there is {allow}"


@pytest.mark.parametrize(
    "path", ["/hooks/pre-rollout/a/b", "/hooks/", "/gate", "/gate/x", "/runs/a/b/c", "/reports", "/reports/x", "/argo"]
)
def test_a_wrong_path_below_ours_is_no_task(site: Site, path: str) -> None:
    answer: Any = site.post(path, metadata={"cmd": "id"})
    assert answer.line == f"no such path: '{path}'; GET /openapi.json lists what there is"
    assert answer.status == 404


def test_nothing_redirects(site: Site) -> None:
    for path in ("/gate/check/", "/healthz/", "/runs/", "//", "/hooks/pre-rollout/smoke/"):
        assert site.get(path).status == 404
