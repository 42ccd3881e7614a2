"""Rules of a VirtualService that do something else than they seem to. All ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshtest.lib.words import listed
from meshtest.manifests.istio.names import fqdn
from meshtest.model.document import Document, Path
from meshtest.preflight.dig import Object, at, number, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import VIRTUAL_SERVICE
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Pods, Scene
from meshtest.preflight.virtual_services import hosts, in_mesh, targets

READING = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENT = READING | {"PUT", "DELETE", "TRACE"}
AFTER_THE_WORK = frozenset({"5xx", "gateway-error", "reset", "retriable-4xx", "retriable-status-codes"})
"""Conditions of `retryOn` that an upstream may meet after it has done what was asked."""
VERSION = re.compile(r"/v\d+$")
LOOKS = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]")
"""Lookaround, atomic groups, backreferences: what RE2 has not."""


def rules(document: Document) -> Iterator[tuple[int, Object, Path]]:
    for index, rule in objects(document.data, "spec", "http"):
        yield index, rule, ("spec", "http", index)


@each(VIRTUAL_SERVICE)
def faults(document: Document) -> Iterator[Hit]:
    """MT003"""
    for _, rule, path in rules(document):
        attempts = at(rule, "retries", "attempts")
        ignored = [f"`{name}`" for name in ("retries", "timeout") if name in rule]
        if attempts == 0 and "`retries`" in ignored:
            ignored.remove("`retries`")
        if object_at(rule, "fault") and ignored:
            verb = "does" if len(ignored) == 1 else "do"
            message = f"{' and '.join(ignored)} {verb} not apply to the faults that this rule injects"
            yield Hit("MT003", document, (*path, "fault"), message)


@each(VIRTUAL_SERVICE)
def mirrors(document: Document) -> Iterator[Hit]:
    """MT004"""
    for _, rule, path in rules(document):
        mirrored: list[tuple[Path, Object, object]] = [
            (("mirror",), object_at(rule, "mirror"), at(rule, "mirrorPercentage", "value"))
        ]
        mirrored += [
            (("mirrors", i), object_at(item, "destination"), at(item, "percentage", "value"))
            for i, item in objects(rule, "mirrors")
        ]
        for where, destination, percent in mirrored:
            if destination and percent != 0 and not _only(rule, READING):
                message = f"requests of every method are mirrored to `{text(destination, 'host')}`, writes too"
                yield Hit("MT004", document, (*path, *where), message)


def _only(rule: Object, methods: frozenset[str]) -> bool:
    """Every match of the rule names one of these methods."""
    matches = [text(match, "method", "exact") for _, match in objects(rule, "match")]
    return bool(matches) and all(method in methods for method in matches)


@each(VIRTUAL_SERVICE)
def retries(document: Document) -> Iterator[Hit]:
    """MT012"""
    for _, rule, path in rules(document):
        conditions = {word.strip() for word in text(rule, "retries", "retryOn").split(",")}
        late = sorted(c for c in conditions if c in AFTER_THE_WORK or c.isdigit())
        if late and at(rule, "retries", "attempts") != 0 and not _only(rule, IDEMPOTENT):
            message = f"requests of every method are retried on {listed(late)}: a write may be done twice"
            yield Hit("MT012", document, (*path, "retries", "retryOn"), message)


@each(VIRTUAL_SERVICE)
def prefixes(document: Document) -> Iterator[Hit]:
    """MT006: for a version, or when another rule is about one of the longer names."""
    paths = [text(match, "uri", kind) for match, _ in _matches(document) for kind in ("exact", "prefix")]
    for match, path in _matches(document):
        prefix = text(match, "uri", "prefix")
        if len(prefix) < 2 or prefix.endswith("/"):
            continue
        longer = next((p for p in paths if p.startswith(prefix) and p[len(prefix) :][:1] not in ("", "/")), "")
        if longer or VERSION.search(prefix):
            message = f"prefix `{prefix}` takes `{longer or prefix + '0'}` too"
            yield Hit("MT006", document, (*path, "uri", "prefix"), message)


def _matches(document: Document) -> Iterator[tuple[Object, Path]]:
    for _, rule, path in rules(document):
        for index, match in objects(rule, "match"):
            yield match, (*path, "match", index)


@each(VIRTUAL_SERVICE)
def catch_alls(document: Document) -> Iterator[Hit]:
    """MT007; a rule without any match is IST0130's business."""
    taken = ""
    for _, rule, path in rules(document):
        if taken:
            yield Hit("MT007", document, path, f"this rule is never reached: {taken} takes every path")
        elif any(_everything(match) for _, match in objects(rule, "match")):
            taken = f"the rule in line {document.where(*path).line}"


def _everything(match: Object) -> bool:
    narrow = set(match) - {"uri", "name", "ignoreUriCase", "statPrefix"}
    return not narrow and (text(match, "uri", "prefix") == "/" or text(match, "uri", "regex") in (".*", "/.*"))


@each(VIRTUAL_SERVICE)
def weights(document: Document) -> Iterator[Hit]:
    """MT008 and MT009"""
    for family in ("http", "tcp", "tls"):
        for index, rule in objects(document.data, "spec", family):
            found = [(i, number(route, "weight")) for i, route in objects(rule, "route")]
            path = ("spec", family, index, "route")
            if len(found) == 1 and found[0][1] == 0:
                yield Hit(
                    "MT009", document, (*path, 0, "weight"), "weight 0 has no effect: there is no other destination"
                )
            elif len(found) > 1 and not any(weight for _, weight in found):
                yield Hit("MT008", document, path, "the weights add up to 0")


@across(VIRTUAL_SERVICE)
def bypassed(scene: Scene) -> Iterator[Hit]:
    """MT005: a split at a gateway only, and a workload of the mesh that calls the host by name."""
    meshed = {fqdn(host, d.namespace) for d in scene.of(VIRTUAL_SERVICE) if in_mesh(d) for host in hosts(d)}
    for document in scene.of(VIRTUAL_SERVICE):
        if in_mesh(document):
            continue
        for name, path in _split_hosts(document):
            host = scene.host(name, document.namespace)
            if host is None or host.fqdn in meshed:
                continue
            behind = {id(p) for p in scene.selected(host.selector, host.document.namespace)} if host.selector else set()
            caller = next((p for p in scene.pods if id(p) not in behind and _calls(p, host.document.name)), None)
            if caller is not None:
                message = f"`{caller.name}` calls `{name}` inside the mesh, where this split does not count"
                yield Hit("MT005", document, path, message)


def _split_hosts(document: Document) -> Iterator[tuple[str, Path]]:
    """Hosts that a rule splits among subsets, with the place of the first."""
    by_rule: dict[Path, dict[str, set[str]]] = {}
    for target in targets(document):
        if target.subset and not target.mirror:
            by_rule.setdefault(target.path[:3], {}).setdefault(target.host, set()).add(target.subset)
    told: set[str] = set()
    for path, found in by_rule.items():
        for host, subsets in found.items():
            if len(subsets) > 1 and host not in told:
                told.add(host)
                yield host, path


def _calls(pods: Pods, service: str) -> bool:
    """A URL of the service stands in an environment variable, an argument, or our annotation."""
    words = [pods.annotations.get("meshtest.dev/calls", "")]
    for _, container in objects(pods.spec, "containers"):
        words += [text(variable, "value") for _, variable in objects(container, "env")]
        for key in ("command", "args"):
            found = at(container, key)
            words += [word for word in found if isinstance(word, str)] if isinstance(found, list) else []
    url = re.compile(rf"://{re.escape(service)}(?:[.:/]|$)")
    return any(url.search(word) for word in words)


@each(VIRTUAL_SERVICE)
def regexes(document: Document) -> Iterator[Hit]:
    """IST0106 for what RE2 refuses, MT023 for what matches less than it seems to."""
    for match, path in _matches(document):
        for where, pattern in _patterns(match):
            if problem := _refused(pattern):
                message = f"regular expression `{pattern}` {problem}; Envoy takes RE2 syntax"
                yield Hit("IST0106", document, (*path, *where), message)
            elif pattern.startswith("^") and not pattern.endswith(("$", ".*", ".+", ")")):
                message = f"`{pattern}` must match the whole value, so nothing may follow it"
                yield Hit("MT023", document, (*path, *where), message)


def _patterns(match: Object) -> Iterator[tuple[Path, str]]:
    for key in ("uri", "scheme", "method", "authority"):
        if pattern := text(match, key, "regex"):
            yield (key, "regex"), pattern
    for key in ("headers", "queryParams", "withoutHeaders"):
        for name, value in object_at(match, key).items():
            # `*` alone means that the header is there.
            if (pattern := text(value, "regex")) and pattern != "*":
                yield (key, name, "regex"), pattern


def _refused(pattern: str) -> str:
    if found := LOOKS.search(pattern):
        return f"has `{found[0]}`"
    try:
        re.compile(pattern)
    except re.error as error:
        return (
            "" if "unknown extension ?P" in str(error) or "\\p" in pattern or "\\z" in pattern else f"is none: {error}"
        )
    return ""
