"""What a webhook is sent: Flagger's CanaryWebhookPayload (pkg/apis/flagger/v1beta1/canary.go). Argo sends the same by a
template of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One call. It says neither which hook calls nor the weight."""

    name: str
    namespace: str
    phase: str = ""
    """`status.phase` of the Canary; rollout hooks are sent `Progressing` whatever it is."""
    checksum: str = ""
    """Of the revision, opaque. While confirm-rollout is asked it is still that of the revision before."""
    metadata: Mapping[str, str] = field(default_factory=dict)
