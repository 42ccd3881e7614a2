"""Gates that people and programs open, for one revision each: `gate` for the confirm-* hooks, `rollback` for rollback.

                    open                    check of revision R: 200
    CLOSED ───────────────────► OPEN, for ───────────────────────────► OPEN, for R ──┐ check of R: 200
      ▲                         whichever                                   │    ▲   │
      │                         asks first                                  │    └───┘
      └──────────── close ──────────┴──── close, or any call of another ────┘
                                          revision of that canary: 403

flagger-loadtester's gates stay open for all later rollouts; here an approval is good for what it was given for. Which
revision a call is about is its *binding* (revisions.py): `after:CHECKSUM` before a rollout has begun, since the
checksum is still that of the revision before, CHECKSUM itself from then on. So one that was opened for the promotion
of a revision does not let the next one start, though confirm-rollout asks for that with the same checksum.

A call without a checksum, by hand, binds nothing and closes nothing. The kind is part of the key (flagger-loadtester
keeps both in one map, where a canary named `rollback.podinfo` opens the rollback gate of `podinfo`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from meshtest.lib.dataclass import dataclass
from meshtest.webhook.payload import Payload
from meshtest.webhook.store import Gate

Kind: TypeAlias = Literal["gate", "rollback"]
KINDS: tuple[Kind, ...] = ("gate", "rollback")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a check comes to: open or not, and the gate as it is to be kept, if that is another than before."""

    open: bool
    kept: Gate | None = None
    why: str = ""


def checked(gate: Gate | None, binding: str) -> Seen:
    """A check by a call of this binding; "": the call does not say which revision it is about."""
    if gate is None:
        return Seen(open=False, why="nobody has opened it")
    if not gate.open:
        return Seen(open=False, why=gate.reason or "it was closed")
    if not binding or gate.checksum == binding:
        return Seen(open=True)
    if not gate.checksum:
        return Seen(open=True, kept=replace(gate, checksum=binding, reason=f"bound to {told(binding)}"))
    closed = expired(gate, binding)
    assert closed is not None
    return Seen(open=False, kept=closed, why=closed.reason)


def expired(gate: Gate, binding: str) -> Gate | None:
    """Closed, if it is open for another revision than this."""
    if not gate.open or not binding or gate.checksum in ("", binding):
        return None
    why = f"it was open for {told(gate.checksum)}, and this is {told(binding)}"
    return replace(gate, open=False, who="endpoint", reason=why)


def turned(kind: Kind, asked: Payload, *, open: bool, binding: str, who: str) -> Gate:
    """By somebody. With a checksum it is for that revision from the start."""
    return Gate(
        kind=kind, namespace=asked.namespace, name=asked.name, open=open, checksum=binding if open else "", who=who,
        reason="" if open else "it was closed",
    )  # fmt: skip


def told(binding: str) -> str:
    """For people."""
    after = binding.removeprefix("after:")
    if after != binding:
        return f"the rollout after {after}"
    return f"revision {binding.removeprefix('ended:')}"


def kind_of(gate: Gate) -> Kind | None:
    """None: what the endpoint keeps for itself in the same table."""
    return gate.kind if gate.kind in KINDS else None
