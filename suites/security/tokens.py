"""An issuer of tokens (JSON Web Tokens, RFC 7519), with a key made for the occasion."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.example"


class Issuer:
    """Signs with ES256. `kid` tells its key from others in a key set."""

    def __init__(self, name: str = ISSUER, *, kid: str = "1") -> None:
        self.name, self.kid = name, kid
        self._key = ec.generate_private_key(ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        x, y = _number(point.x), _number(point.y)
        self.key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": x, "y": y}

    def token(self, *, valid: float = 600.0, **claims: Any) -> str:
        """Valid for so many seconds; negative: it has run out."""
        payload = {"iss": self.name, "sub": "alice", "aud": "shop", "exp": int(time.time() + valid), **claims}
        signed = f"{_json({'alg': 'ES256', 'kid': self.kid})}.{_json(payload)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def headers(self, **claims: Any) -> dict[str, str]:
        """With a token, as a client sends it."""
        return {"authorization": f"Bearer {self.token(**claims)}"}


def key_set(*issuers: Issuer) -> str:
    """What they publish (RFC 7517)."""
    return json.dumps({"keys": [issuer.key for issuer in issuers]})


def _json(value: Any) -> str:
    return _text(json.dumps(value).encode())


def _number(value: int) -> str:
    return _text(value.to_bytes(32, "big"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
