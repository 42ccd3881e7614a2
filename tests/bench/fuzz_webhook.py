"""10,000 requests that schemathesis makes from the endpoint's own description, against a served process.

Needs `pip install -e ".[fuzz]"`, in an environment of its own: its pytest plugin costs each start of pytest 1.3 s.
One run that never ends takes the only worker, so that what is accepted stays in the queue and the fuzzing has the CPU.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from meshtest.lib.wait import until

CASES = 10_000
SEED = 6
SUITES = {
    "smoke": "def test_smoke(): pass\n",
    "busy": "import time\ndef test_busy(): time.sleep(3600)\n",
}
ABOUT = "parameters: {target: {default: http://web-canary}}\n"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance", "negative_data_rejection",
)  # fmt: skip


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, Path]]:
    """An endpoint, where it is and what it has said."""
    for name, text in SUITES.items():
        (folder / "suites" / name).mkdir(parents=True)
        (folder / "suites" / name / f"test_{name}.py").write_text(text)
    (folder / "suites" / "smoke" / "suite.yaml").write_text(ABOUT)
    command = [sys.executable, "-m", "meshtest", "webhook", "serve", "--suites", "suites", "--listen", ":0"]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        limits = ["--workers", "1", "--queue", "1000000", "--drain", "0"]
        process = subprocess.Popen([*command, *limits], cwd=folder, stdout=out, stderr=err)
    with process:
        try:
            until(lambda: "\n" in (folder / "out").read_text(), within=60, what=(folder / "err").read_text)
            yield re.findall(r"http://\S+(?=,)", (folder / "out").read_text())[0], folder / "err"
        finally:
            process.terminate()


def post(url: str, payload: object) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(payload).encode()), timeout=60) as answer:
        return dict(json.loads(answer.read()))


def narrowed(document: Any, ids: list[str]) -> Any:
    """Names that exist, or all of it would be answered with 404; and answers that are not held for an hour."""
    known = {"suite": ["smoke"], "id": ids}
    for item in document["paths"].values():
        for operation in item.values():
            operation["parameters"] = [p for p in operation["parameters"] if p["name"] != "wait"]
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    return document


def main() -> None:
    if find_spec("schemathesis") is None:
        print("schemathesis is not installed: pip install -e '.[fuzz]'")
        return
    with tempfile.TemporaryDirectory() as made, served(Path(made)) as (url, log):
        payload = {"name": "web", "namespace": "shop", "checksum": "c2"}
        for suite in ("busy", "smoke"):
            post(f"{url}/argo/{suite}", payload)
        with urllib.request.urlopen(f"{url}/runs", timeout=60) as answer:
            ids = [run["id"] for run in json.loads(answer.read())["runs"] if run["suite"] == "smoke"]
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
            schema = narrowed(json.loads(answer.read()), ids)
        (Path(made) / "schema.json").write_text(json.dumps(schema))
        # some operations have few different cases
        operations = sum(len(item) for item in schema["paths"].values())
        print(_fuzz(Path(made), url, 2 * CASES // operations))
        said = log.read_text()
        print(f"tracebacks in the log: {said.count('Traceback')}   aim 0")


def _fuzz(folder: Path, url: str, examples: int) -> str:
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", "schema.json", "--url", url, "--no-color",
        "--phases", "examples,coverage,fuzzing", "-n", str(examples), "--seed", str(SEED), "--checks", ",".join(CHECKS),
        "--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    cases = re.findall(r"(\d[\d,]*) generated", done.stdout)
    failures = re.findall(r"(\d[\d,]*) found", done.stdout)
    tail = "" if done.returncode == 0 else f"\n{done.stdout[-12000:]}{done.stderr[-2000:]}"
    return f"{' '.join(cases) or '?'} cases, failures: {' '.join(failures) or '0'}   aim {CASES}, 0{tail}"


if __name__ == "__main__":
    main()
