"""What pods tell of themselves: metrics of the applications, scraped as Prometheus' usual job for pods does it.

A pod asks for it by annotations: prometheus.io/scrape "true", /port, /path (/metrics). Its samples get its labels, and
kubernetes_namespace and kubernetes_pod_name (prometheus/prometheus, documentation/examples/prometheus-kubernetes.yml,
job kubernetes-pods; Flagger's queries rely on them). A pod that does not answer in time costs that time once, for all
are asked at once, and is told as `up 0`.
"""

from __future__ import annotations

import http.client
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from meshtest.lib.exposition import ExpositionError, Sample, line, parse
from meshtest.model.service import Workload
from meshtest.model.topology import Topology, key
from meshtest.spi.provider import Pod

SCRAPE, PORT, PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
WITHIN = 1.0
"""Seconds that a pod has to answer, all of it."""
LARGEST = 16 << 20
"""Bytes that are read of one pod."""
JOB = "kubernetes-pods"

_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")
_SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")


class Target(NamedTuple):
    """One port of one pod."""

    port: int
    path: str
    labels: Mapping[str, str]
    """What its samples get."""
    where: str
    """For a person: `pod web-0, port 8080`."""


class Told(NamedTuple):
    """What one target answered."""

    target: Target
    types: Mapping[str, str]
    """By family; `histogram` and so on."""
    samples: Sequence[Sample]
    trouble: str
    """Why there is nothing; "" if it answered."""


def targets(topology: Topology, pods: Iterable[Pod]) -> Iterator[Target]:
    """Of pods that ask for it; without a port in the annotation all that the pod declares."""
    workloads = {key(w): w for w in topology.workloads}
    for pod in pods:
        workload = workloads.get(pod.workload)
        if workload is None or workload.annotations.get(SCRAPE, "").lower() != "true":
            continue
        asked = workload.annotations.get(PORT, "")
        for number in [int(asked)] if asked.isdigit() else list(pod.ports):
            yield Target(
                port=pod.ports.get(number, number),
                path=workload.annotations.get(PATH) or "/metrics",
                labels=labels(workload, pod),
                where=f"pod {pod.name}, port {number}",
            )


def labels(workload: Workload, pod: Pod) -> dict[str, str]:
    """Those of the pod, and where it is. The pod's name is as a Deployment of a cluster would make it, NAME-HASH-ID: by
    this form queries tell the pods of `web` from those of `web-canary`."""
    found = {_NOT_IN_LABELS.sub("_", name): value for name, value in workload.labels.items()}
    made_from = repr((key(workload), sorted(workload.labels.items()))).encode()
    name = f"{workload.name}-{zlib.crc32(made_from):08x}-{pod.name.rpartition('-')[2]}"
    return {**found, "kubernetes_namespace": workload.namespace, "kubernetes_pod_name": name}


def scrape(asked: Sequence[Target], within: float = WITHIN) -> list[Told]:
    """All at once."""
    if not asked:
        return []
    with ThreadPoolExecutor(min(len(asked), 32), thread_name_prefix="scrape") as pool:
        return list(pool.map(lambda target: _ask(target, within), asked))


def _ask(target: Target, within: float) -> Told:
    try:
        text = _get(target, time.monotonic() + within)
        return Told(target, dict(_types(text)), list(parse(text)), "")
    except (OSError, http.client.HTTPException, ExpositionError, UnicodeDecodeError) as error:
        return Told(target, {}, (), str(error) or type(error).__name__)


def _get(target: Target, deadline: float) -> str:
    """One that keeps sending a little is cut off too."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=max(0.001, deadline - time.monotonic()))
    try:
        connection.request("GET", target.path, headers={"accept": "text/plain;version=0.0.4", "connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"it answered {answer.status}")
        parts: list[bytes] = []
        while part := answer.read1(1 << 16):
            parts.append(part)
            if sum(map(len, parts)) > LARGEST:
                raise http.client.HTTPException(f"more than {LARGEST >> 20} MiB of metrics")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("it did not answer in time")
            if connection.sock:
                connection.sock.settimeout(left)
        return b"".join(parts).decode()
    except TimeoutError:
        raise TimeoutError("it did not answer in time") from None
    finally:
        connection.close()


def _types(text: str) -> Iterator[tuple[str, str]]:
    for one in text.splitlines():
        words = one.split()
        if len(words) == 4 and words[:2] == ["#", "TYPE"]:
            yield words[2], words[3]


# -- as one text


def text(told: Sequence[Told]) -> str:
    """All of a family together, as the format asks for; then who answered."""
    families: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for one in told:
        types |= {name: kind for name, kind in one.types.items() if name not in types}
        for sample in one.samples:
            found = families.setdefault(_family(sample.name, one.types), [])
            found.append(line(sample._replace(labels=merged(sample.labels, one.target.labels))))
    parts = [f"# TYPE {name} {types.get(name, 'untyped')}\n{''.join(lines)}" for name, lines in families.items()]
    return "".join([*parts, _up(told)])


def _family(name: str, types: Mapping[str, str]) -> str:
    if name not in types:
        for suffix in _SUFFIXES:
            if name.endswith(suffix) and name.removesuffix(suffix) in types:
                return name.removesuffix(suffix)
    return name


def merged(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """A label that the target uses too is kept as `exported_NAME` (Prometheus, honor_labels off)."""
    return {**{f"exported_{n}" if n in given else n: value for n, value in own.items()}, **given}


def _up(told: Sequence[Told]) -> str:
    if not told:
        return ""
    lines = [
        line(
            Sample("up", {"job": JOB, "instance": f"127.0.0.1:{one.target.port}", **one.target.labels}, not one.trouble)
        )
        for one in told
    ]
    return f"# TYPE up gauge\n{''.join(lines)}"
