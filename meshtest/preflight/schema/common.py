"""Shapes that several kinds share: selectors, references to what a policy is about, endpoints, pools of connections."""

from __future__ import annotations

from meshtest.preflight.schema import predicates as p
from meshtest.preflight.schema.shapes import UNSIGNED, Shape, entries, items, one_of, string, thing, whole

GROUP = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
KIND = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
PORT = whole(0, 2**32 - 1, p.PORT)

SELECTOR = thing(
    matchLabels=entries(string(p.NO_STAR_IN_VALUE, most=63), p.NO_STAR_IN_KEY, p.NO_EMPTY_KEY, most=4096),
)
LABELS = thing(labels=entries(string(p.NO_WILDCARD, most=63), most=256))
"""A workloadSelector of the older kinds."""

TARGET = thing(
    required="kind name",
    group=string(most=253, pattern=GROUP),
    kind=string(fewest=1, most=63, pattern=KIND),
    name=string(fewest=1, most=253),
    namespace=string(p.SAME_NAMESPACE),
)
TARGETS = items(TARGET, most=16)
ONE_TARGET = p.at_most_one("selector", "targetRef", "targetRefs", say="only one of targetRefs or selector can be set")

STATUS = thing(validationMessages=items(thing(level=one_of("UNKNOWN ERROR WARNING INFO"))))

POOL = thing(
    http=thing(
        h2UpgradePolicy=one_of("DEFAULT DO_NOT_UPGRADE UPGRADE"),
        http2KeepAlive=thing(interval=string(p.DURATION), timeout=string(p.DURATION)),
        idleTimeout=string(p.DURATION),
    ),
    tcp=thing(
        connectTimeout=string(p.DURATION),
        maxConnectionDuration=string(p.DURATION),
        tcpKeepalive=thing(interval=string(p.DURATION), probes=UNSIGNED, time=string(p.DURATION)),
    ),
)

VERSIONS = one_of("TLS_AUTO TLSV1_0 TLSV1_1 TLSV1_2 TLSV1_3")
SERVER_TLS = thing(
    p.at_most_one(
        "tlsCertificates", "credentialNames", say="only one of credentialNames or tlsCertificates can be set"
    ),
    p.at_most_one("credentialName", "credentialNames", say="only one of credentialName or credentialNames can be set"),
    credentialNames=items(fewest=1, most=2),
    tlsCertificates=items(fewest=1, most=2),
    maxProtocolVersion=VERSIONS,
    minProtocolVersion=VERSIONS,
    mode=one_of("PASSTHROUGH SIMPLE MUTUAL AUTO_PASSTHROUGH ISTIO_MUTUAL OPTIONAL_MUTUAL"),
)


def endpoint(*rules: p.Rule) -> Shape:
    """A WorkloadEntry, or what stands for one."""
    return thing(
        *rules,
        p.SOCKET_WITHOUT_PORTS,
        address=string(p.SOCKET_ABSOLUTE, p.SOCKET_NO_FOLDER, most=256),
        labels=entries(most=256),
        locality=string(most=2048),
        network=string(most=2048),
        ports=entries(PORT, p.PORT_NAMES, most=128),
        serviceAccount=string(most=253),
        weight=UNSIGNED,
    )


ENDPOINT = endpoint(p.ADDRESS_NEEDED)


def document(spec: Shape, *, needed: bool = False) -> Shape:
    """A whole object; some kinds are refused without a spec."""
    return Shape("object", fields={"spec": spec, "status": STATUS}, required=("spec",) if needed else ())
