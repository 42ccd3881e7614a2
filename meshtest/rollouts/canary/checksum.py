"""The `checksum` of a webhook payload: which revision the hook is asked about.

It is FNV-1a over what Go's spew prints of {TrackedConfigs, LastAppliedSpec}, in the alphabet that Kubernetes uses for
names: fluxcd/flagger pkg/controller/webhook.go canaryChecksum, pkg/canary/spec.go ComputeHash. Equal to Flagger's for
the same two values; the test holds values that Go has computed.
"""

from __future__ import annotations

from functools import cache

from meshtest.rollouts.canary.state import Configs

ALPHABET = b"bcdfghjklmnpqrstvwxz2456789"
"""Without vowels, so that no word comes out, and without digits that look like letters."""
_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_TYPE = "struct { TrackedConfigs *map[string]string; LastAppliedSpec string }"


@cache
def checksum(applied: str, configs: Configs | None) -> str:
    """Eight to ten characters."""
    number = fnv32a(
        f"({_TYPE}){{TrackedConfigs:(*map[string]string){_map(configs)} LastAppliedSpec:(string){applied}}}"
    )
    return bytes(ALPHABET[digit % len(ALPHABET)] for digit in str(number).encode()).decode()


def fnv32a(text: str) -> int:
    value = _OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & _MASK
    return value


def _map(configs: Configs | None) -> str:
    if configs is None:
        return "<nil>"
    return f"map[{' '.join(f'{name}:{digest}' for name, digest in sorted(configs))}]"
