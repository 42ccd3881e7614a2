"""Trust domains: which principals mean the same caller (Istio: pilot/pkg/security/trustdomain)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshtest.model.security import TRUST_DOMAIN


def aliases(principals: Iterable[str], trust_domains: Sequence[str]) -> tuple[str, ...]:
    """Principals under every name of the mesh's trust domain. `cluster.local` always means the mesh's own."""
    found: dict[str, None] = {}
    for principal in principals:
        domain, _, rest = principal.partition("/")
        ours = principal.count("/") == 4 and domain != "*"
        if ours and (domain == TRUST_DOMAIN or any(_is(domain, own) for own in trust_domains)):
            for own in trust_domains:
                found[principal if domain.startswith("*") and _is(domain, own) else f"{own}/{rest}"] = None
        else:
            found[principal] = None
    return tuple(found)


def _is(domain: str, own: str) -> bool:
    return own.endswith(domain[1:]) if domain.startswith("*") else own == domain
