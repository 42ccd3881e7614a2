"""JSON Web Key Sets as Envoy reads them (google/jwt_verify_lib jwks.cc): what is wrong with one, before Envoy says so.

Only shapes and sizes are looked at; no signature is made or checked here.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from meshtest.lib.words import listed

NEEDED = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",), "oct": ("k",)}
"""Members a key of each type must have."""
CURVE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}
PRIVATE = ("d", "p", "q")


def problem(text: str) -> str:
    """What is wrong with a key set, or ""."""
    try:
        data = json.loads(text)
    except ValueError as error:
        return f"is no JSON: {error}"
    if not isinstance(data, dict):
        return "must be a JSON object with `keys`"
    keys = data.get("keys", [data] if "kty" in data else None)
    if not isinstance(keys, list) or not keys:
        return "has no `keys`: a key set is {" + '"keys": [...]}'
    return next((f"key {index}: {found}" for index, key in enumerate(keys) if (found := _of_key(key))), "")


def private_members(text: str) -> list[str]:
    """Members that only a private key has: a set with these gives the key away."""
    data = json.loads(text)
    keys = data.get("keys", [data])
    return sorted({member for key in keys for member in PRIVATE if isinstance(key, dict) and member in key})


def _of_key(key: Any) -> str:
    if not isinstance(key, dict):
        return "must be a JSON object"
    kind = key.get("kty")
    if kind not in NEEDED:
        return f"`kty` must be one of {listed(NEEDED)}, not {kind!r}"
    for member in NEEDED[kind]:
        if found := _of_number(key, member):
            return found
    curve = key.get("crv", "P-256" if kind == "EC" else "")
    if kind in ("EC", "OKP"):
        if curve not in CURVE_BYTES:
            return f"`crv` must be one of {listed(CURVE_BYTES)}, not {curve!r}"
        if (size := len(_decoded(key["x"]) or b"")) != CURVE_BYTES[curve]:
            return f"`x` of a key on {curve} has {CURVE_BYTES[curve]} bytes, not {size}"
    return ""


def _of_number(key: dict[str, Any], member: str) -> str:
    value = key.get(member)
    if not isinstance(value, str) or not value:
        return f"a key of type {key['kty']} needs `{member}`"
    if not _decoded(value):
        return f"`{member}` is not base64url"
    return ""


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
