"""Make before break: the order of changes in which nothing is referred to that is not there. Pure.

    old ──► add what is new ──► move what refers ──► remove what is old ──► new

One change of one object is one step. It may be taken when everything the object then needs is there, and nothing that
others need goes away with it. When changes need each other (a DestinationRule swaps a subset that a VirtualService
moves to), one object gets two edits: first what is new beside what is old, then without the old.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.model.document import Document, Documents
from meshtest.preflight.kinds import (
    CLUSTER_WIDE,
    CONFIG_MAP,
    DESTINATION_RULE,
    NAMESPACE,
    POD,
    REFERENCE_GRANT,
    ROUTES,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    WORKLOADS,
)
from meshtest.preflight.links import Need, Token, gives, gives_pods, needs
from meshtest.preflight.union import united

Key = tuple[str, str, str]
State = Mapping[Key, Document]

RANKS: dict[str, int] = {
    "apiextensions.k8s.io/CustomResourceDefinition": 0,
    NAMESPACE: 0,
    SERVICE_ACCOUNT: 1,
    CONFIG_MAP: 1,
    SECRET: 1,
    REFERENCE_GRANT: 1,
    **dict.fromkeys(WORKLOADS, 2),
    SERVICE: 3,
    SERVICE_ENTRY: 3,
    DESTINATION_RULE: 4,
    **dict.fromkeys((*ROUTES, VIRTUAL_SERVICE), 7),
}
"""Where there is a choice, what others refer to comes first. Kinds that are not named stand at 5."""
OTHERS = 5
MAKERS = frozenset({*WORKLOADS, POD})
"""Kinds that give pods."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change of one object. `document` is what to apply, or what to delete."""

    number: int
    action: Literal["apply", "extend", "delete"]
    document: Document
    why: str
    wait: str = ""
    """What to wait for before the next step."""
    risk: str = ""
    """What this step breaks all the same, because no order avoids it."""

    @property
    def title(self) -> str:
        """`VirtualService default/web`"""
        kind = self.document.kind.partition("/")[2]
        home = "" if self.document.kind in CLUSTER_WIDE else f"{self.document.namespace}/"
        return f"{kind} {home}{self.document.name}"

    def after(self, documents: Documents) -> Documents:
        """The documents once the step is taken."""
        if self.action == "delete":
            return Documents(tuple(d for d in documents if d.key != self.document.key))
        return documents.apply([self.document])


def plan(after: Documents, before: Documents | None = None) -> Sequence[Step]:
    """The steps from `before` (nothing, when left out) to `after`; what is missing there is deleted."""
    return list(_Planner(_state(before or ()), _state(after)).steps())


def _state(documents: Iterable[Document]) -> State:
    return {document.key: document for document in documents}


@dataclass(frozen=True)
class _Change:
    """From one version of an object to the next; None is absence."""

    key: Key
    old: Document | None
    new: Document | None

    @property
    def rank(self) -> tuple[int, int]:
        """Additions and edits first; removals last, in the opposite order."""
        rank = RANKS.get(self.key[0], OTHERS)
        return (1, -rank) if self.new is None else (0, rank)


class _Planner:
    """The state as it moves, and the changes that are left."""

    def __init__(self, before: State, after: State) -> None:
        # What does not change is one version, not two that are alike.
        same = {key for key, new in after.items() if not _differs(before.get(key), new)}
        self.before, self.after = before, {key: before[key] if key in same else new for key, new in after.items()}
        self.now: dict[Key, Document] = dict(before)
        self.split: dict[Key, Document] = {}
        self.count = 0
        keys = dict.fromkeys((*after, *before))
        changes = (_Change(key, before.get(key), self.after.get(key)) for key in keys)
        self.left = sorted((c for c in changes if _differs(c.old, c.new)), key=lambda change: change.rank)

    # -- who gives what

    @cached_property
    def givers(self) -> Mapping[Token, Sequence[Document]]:
        """Token to the versions that give it, among all versions there ever are."""
        versions = [*self.before.values(), *self.after.values()]
        found: dict[Token, list[Document]] = defaultdict(list)
        for version in versions:
            for token in gives(version):
                found[token].append(version)
        makers = [version for version in versions if version.kind in MAKERS]
        wanted = {n.token: n for version in versions for n in needs(version) if n.token[0] == "pods"}
        for token in wanted:
            found[token] = [maker for maker in makers if _makes(maker, token)]
        return found

    def there(self, token: Token, state: State) -> bool:
        return any(state.get(giver.key) is giver for giver in self.givers.get(token, ())) or self._split_gives(
            token, state
        )

    def _split_gives(self, token: Token, state: State) -> bool:
        return any(state.get(key) is version and token in gives(version) for key, version in self.split.items())

    def owed(self, document: Document) -> Iterator[Need]:
        """The needs of a version that are met at its own end: those that never were are none of our business."""
        homes = [state for state in (self.before, self.after) if state.get(document.key) is document]
        for need in needs(document):
            met = [self.there(need.token, home) for home in homes] or [
                self.there(need.token, self.before) or self.there(need.token, self.after)
            ]
            if all(met):
                yield need

    # -- taking changes

    def steps(self) -> Iterator[Step]:
        while self.left:
            change = next((c for c in self.left if not self.broken(c)), None)
            if change is not None:
                yield self.take(change)
            elif (extended := self.extension()) is not None:
                yield extended
            else:
                yield self.force(self.left[0])

    def broken(self, change: _Change) -> list[str]:
        """What would be missing if the change were made now."""
        lost = [token for token in self._lost(change) if self.there(token, self.now)]
        with self._tried(change):
            owed = self.owed(change.new) if change.new is not None else ()
            missing = [need.what for need in owed if not self.there(need.token, self.now)]
            return [*missing, *self._orphaned(change, lost)]

    @contextlib.contextmanager
    def _tried(self, change: _Change) -> Iterator[None]:
        """The state as it would be."""
        was = self.now.get(change.key)
        _set(self.now, change)
        try:
            yield
        finally:
            _set(self.now, _Change(change.key, change.new, was))

    def _orphaned(self, change: _Change, lost: Iterable[Token]) -> Iterator[str]:
        """What has gone with the old version and somebody else still needs."""
        for token in lost:
            if self.there(token, self.now):
                continue
            for user, need in self.users.get(token, ()):
                if user.key != change.key and self.now.get(user.key) is user and need in self.owed(user):
                    yield f"{need.what}, which {_named(user)} uses"

    def _lost(self, change: _Change) -> Iterator[Token]:
        """What the old version gives and the new one does not."""
        old, new = change.old, change.new
        if old is None:
            return
        yield from gives(old) - (gives(new) if new is not None else frozenset())
        if old.kind in MAKERS:
            pods = (token for token in self.users if token[0] == "pods")
            yield from (token for token in pods if _makes(old, token) and not (new is not None and _makes(new, token)))

    @cached_property
    def users(self) -> Mapping[Token, Sequence[tuple[Document, Need]]]:
        """Token to the versions that need it. An extension needs what its two ends need."""
        found: dict[Token, list[tuple[Document, Need]]] = defaultdict(list)
        for version in (*self.before.values(), *self.after.values(), *self.split.values()):
            for need in needs(version):
                found[need.token].append((version, need))
        return found

    def take(self, change: _Change, risk: str = "") -> Step:
        why = self.reason(change)
        self.left.remove(change)
        _set(self.now, change)
        self.count += 1
        shown = change.new or change.old
        assert shown is not None, "a change has a version"
        action: Literal["apply", "delete"] = "apply" if change.new else "delete"
        return Step(number=self.count, action=action, document=shown, why=why, wait=_wait(change), risk=risk)

    def force(self, change: _Change) -> Step:
        """No order is without loss: say so, and go on."""
        return self.take(change, risk="; ".join(dict.fromkeys(self.broken(change))))

    def extension(self) -> Step | None:
        """The first blocked object that can have new and old side by side, and so lets others go on."""
        for change in self.left:
            if change.old is None or change.new is None or change.key in self.split:
                continue
            both = united(change.old, change.new)
            if both is None or not gives(both) > gives(change.old):
                continue
            self.split[change.key] = both
            self.__dict__.pop("users", None)
            first = _Change(change.key, change.old, both)
            if self.broken(first):
                del self.split[change.key]
                continue
            added = _shown(gives(both) - gives(change.old))
            kept = _shown(gives(change.old) - gives(change.new))
            _set(self.now, first)
            self.left[self.left.index(change)] = _Change(change.key, both, change.new)
            self.count += 1
            why = f"adds {added} beside {kept}, which is still in use"
            return Step(number=self.count, action="extend", document=both, why=why, wait=_wait(first))
        return None

    def reason(self, change: _Change) -> str:
        """Why now: who waits for it, or what it had to wait for."""
        if change.new is None:
            return "nothing refers to it any more"
        added = set(gives(change.new) - (gives(change.old) if change.old else frozenset()))
        if change.new.kind in MAKERS:
            added.update(token for token in self.users if token[0] == "pods" and _makes(change.new, token))
        using = (user for token in sorted(added, key=str) for user, _ in self.users.get(token, ()))
        users = list(dict.fromkeys(_named(user) for user in using if self._waits(user, change)))
        if users:
            return f"before {listed(users, most=2)}, which {'needs' if len(users) == 1 else 'need'} it"
        if change.key in self.split:
            gone = _shown(gives(self.split[change.key]) - gives(change.new))
            return f"nothing uses {gone} any more"
        uses = [need.what for need in needs(change.new) if need.token[0] != "namespace"]
        return f"what it refers to is there: {', '.join(uses[:3])}" if uses else "refers to nothing that is changed"

    def _waits(self, user: Document, change: _Change) -> bool:
        """A version that is still to come, of another object."""
        return user.key != change.key and self.after.get(user.key) is user and self.now.get(user.key) is not user


def _makes(document: Document, token: Token) -> bool:
    _, namespace, selector = token
    assert isinstance(selector, tuple), "a token of pods carries its selector"
    return gives_pods(document, str(namespace), dict(selector))


def _set(state: dict[Key, Document], change: _Change) -> None:
    if change.new is None:
        state.pop(change.key, None)
    else:
        state[change.key] = change.new


def _differs(old: Document | None, new: Document | None) -> bool:
    return old is None or new is None or old.data != new.data


def _named(document: Document) -> str:
    return f"{document.kind.partition('/')[2]} `{document.name}`"


def _shown(tokens: Iterable[Token]) -> str:
    """`subset v1`, `port 8080`"""
    words = sorted(f"{token[0]} `{token[-1]}`" for token in tokens if token[0] != "object")
    return " and ".join(words) or "what is new"


WAITS = {
    SERVICE: "its endpoints are listed: kubectl get endpointslices -n {ns} -l kubernetes.io/service-name={name}",
    DESTINATION_RULE: "every proxy has it: istioctl proxy-status shows SYNCED",
    VIRTUAL_SERVICE: "every proxy has it: istioctl proxy-status shows SYNCED; requests that are under way end",
    **dict.fromkeys(ROUTES, "its parents report Accepted and ResolvedRefs; requests that are under way end"),
}


def _wait(change: _Change) -> str:
    kind, namespace, name = change.key
    if kind in WORKLOADS:
        if change.new is None:
            return "its pods have ended: kubectl get pods shows none of them"
        resource = kind.partition("/")[2].lower()
        return f"its pods are ready: kubectl rollout status {resource}/{name} -n {namespace}"
    if change.new is None:
        return "every proxy has let go of it: istioctl proxy-status shows SYNCED" if "istio" in kind else ""
    return WAITS.get(kind, "").format(ns=namespace, name=name)
