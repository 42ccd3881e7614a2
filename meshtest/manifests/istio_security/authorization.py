"""AuthorizationPolicy: who may ask the selected workloads for what.

Rules and their wording: istio pkg/config/validation ValidateAuthorizationPolicy, pkg/config/security, and the CRD's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from meshtest.manifests.fields import Fields
from meshtest.manifests.istio_security import attributes, wording
from meshtest.manifests.istio_security.fields import AUTHORIZATION_POLICY
from meshtest.manifests.istio_security.scope import scope
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.model.security import Authorization, Condition, Conditions, Rule

SPEC = AUTHORIZATION_POLICY.read["spec"] or Fields(read={})
Action = Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]
ACTIONS = ("ALLOW", "DENY", "AUDIT", "CUSTOM")
DRY_RUN = "istio.io/dry-run"
TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")
"""What Go's strconv.ParseBool takes."""

SOURCE_KEYS = {
    "principals": "source.principal",
    "requestPrincipals": "request.auth.principal",
    "namespaces": "source.namespace",
    "serviceAccounts": "source.serviceAccount",
    "trustDomains": "source.trustDomain",
    "remoteIpBlocks": "remote.ip",
    "ipBlocks": "source.ip",
}
OPERATION_KEYS = {
    "hosts": "request.host",
    "methods": "request.method",
    "paths": "request.path",
    "ports": "destination.port",
}
NOT_WITH_CUSTOM = ("principals", "requestPrincipals", "namespaces", "serviceAccounts")
PEER_FIELDS = ("principals", "namespaces")


@per_document
def authorization(document: Document, notes: list[Diagnostic]) -> Authorization:
    view = View.of(document, AUTHORIZATION_POLICY, notes)
    _, annotations = metadata(view)
    # an absent spec is a policy without rules: it denies everything, in Istio too
    spec = view.child("spec") or View(document, ("spec",), {}, SPEC, notes)
    action = cast(Action, wording.word(spec, "action", ACTIONS, "ALLOW"))
    return Authorization(
        name=document.name,
        scope=scope(spec),
        action=action,
        rules=tuple(_rules(spec, action)),
        dry_run=_dry_run(view, annotations.get(DRY_RUN, "false")),
        provider=_provider(spec, action),
        created=str(document.metadata.get("creationTimestamp") or ""),
        source=document.where(),
    )


def _dry_run(view: View, value: str) -> bool:
    if value not in TRUE + FALSE:
        text = f"annotation {DRY_RUN} must be true or false, not {value!r}"
        view.error("bad-value", text, "metadata", "annotations", DRY_RUN)
    return value in TRUE


def _provider(spec: View, action: str) -> str:
    below = spec.child("provider")
    name = below.string("name") if below is not None else ""
    if action != "CUSTOM":
        if below is not None:
            text = f"`provider` must not be with non CUSTOM action, found {action}"
            spec.error("bad-value", text, "provider")
        return ""
    if "rules" in spec and not name:
        spec.error("missing-field", "`provider.name` must not be empty", "provider")
    elif name:
        text = (
            f"{spec.name('provider')} names the external authorizer {name!r}, but none is configured here (there is no "
            "meshConfig.extensionProviders): requests that the rules match are denied, as Istio does for an unknown one"
        )
        spec.warn("unknown-provider", text, "provider")
    return name


def _rules(spec: View, action: str) -> Iterator[Rule]:
    if action in ("DENY", "CUSTOM") and "rules" not in spec:
        text = f"{action} action without `rules` is meaningless as it will never be triggered, add an empty rule `{{}}`"
        spec.error("missing-field", f"{text} if you want it be triggered for every request", "action")
    for rule in wording.objects(spec, "rules"):
        for key in ("from", "to"):
            if rule.data.get(key) == []:
                rule.error("bad-value", f"{rule.name(key)}: `{key}` must not be empty", key)
        made = Rule(
            sources=tuple(_parts(rule, "from", "source", SOURCE_KEYS, action)),
            operations=tuple(_parts(rule, "to", "operation", OPERATION_KEYS, action)),
            conditions=tuple(_when(rule, action)),
            source=rule.source(),
        )
        if action == "DENY" and _only_http(made):
            text = (
                f"{rule.name()} denies by HTTP attributes only: it takes every connection to TCP ports; name the ports"
            )
            rule.note(Severity.INFO, "denies-tcp", text)
        yield made


def _parts(rule: View, key: str, inner: str, keys: dict[str, str], action: str) -> Iterator[Conditions]:
    for part in wording.objects(rule, key):
        below = part.child(inner)
        if below is None:
            part.error("missing-field", f"`{key}.{inner}` must not be nil, found at {part.name()}")
            continue
        found = tuple(c for field, attribute in keys.items() if (c := _pair(below, field, attribute)) is not None)
        if not found:
            below.error("bad-value", f"`{key}.{inner}` must not be empty, found at {below.name()}")
        if key == "from":
            _check_source(below, action)
        yield found


def _pair(below: View, field: str, key: str) -> Condition | None:
    """`hosts` and `notHosts`."""
    negated = f"not{field[0].upper()}{field[1:]}"
    for name in (field, negated):
        attributes.check(below, name, key)
    values, not_values = below.strings(field), below.strings(negated)
    if not values and not not_values:
        return None
    return Condition(key=key, values=values, not_values=not_values, source=below.source(field if values else negated))


def _when(rule: View, action: str) -> Iterator[Condition]:
    for view in wording.objects(rule, "when"):
        key = view.string("key")
        if not key:
            view.error("missing-field", f"{view.name('key')}: `key` must not be empty")
            continue
        values, not_values = view.strings("values"), view.strings("notValues")
        if not values and not not_values:
            view.error("missing-field", f"at least one of `values` or `notValues` must be set for key {key}")
        elif attributes.known(view, key):
            attributes.check(view, "values", key)
            attributes.check(view, "notValues", key)
        if action == "CUSTOM" and (key in attributes.PEER or key.startswith("request.auth.")):
            view.error("bad-value", f"{view.name('key')}: {key} is currently not supported with CUSTOM action", "key")
        yield Condition(key=key, values=values, not_values=not_values, source=view.source())


def _check_source(source: View, action: str) -> None:
    """What must not stand together in one source, or with the action."""
    given = {field for field in SOURCE_KEYS if field in source or f"not{field[0].upper()}{field[1:]}" in source}
    if "serviceAccounts" in given and given & set(PEER_FIELDS):
        source.error("bad-value", f"{source.name()}: Cannot set serviceAccounts with namespaces or principals")
    for field in NOT_WITH_CUSTOM if action == "CUSTOM" else ():
        if field in given:
            named = f"From.{field[0].upper()}{field[1:]}"
            source.error("bad-value", f"{source.name()}: {named} is currently not supported with CUSTOM action")


def _only_http(rule: Rule) -> bool:
    """Istio warns: on a TCP port the HTTP attributes fall away, and the rest of a DENY rule takes everything."""
    keys = {c.key for part in (*rule.sources, *rule.operations) for c in part}
    tcp = {"source.principal", "source.namespace", "source.serviceAccount", "source.ip", "remote.ip"}
    operations = {c.key for part in rule.operations for c in part}
    if rule.operations:
        return "destination.port" not in operations
    return bool(rule.sources) and not keys & tcp
