"""Rules of our own: what istioctl accepts and rollouts have lost requests by. Each names where the fact comes from."""

from __future__ import annotations

from meshtest.model.diagnostic import Severity
from meshtest.preflight.rules import Code

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


def _ours(
    number: int, name: str, severity: Severity, says: str, fix: str, source: str, *, certain: bool = False
) -> Code:
    return Code(
        code=f"MT{number:03}", name=name, severity=severity, says=says, fix=fix, source=source, certain=certain
    )


OURS: tuple[Code, ...] = (
    _ours(
        1,
        "EjectionNeverHappens",
        WARNING,
        "Outlier detection cannot eject a single pod: maxEjectionPercent (default 10) of so few pods is below one.",
        "Set `maxEjectionPercent` to at least 100 / replicas.",
        "envoyproxy/envoy #26877, #27909: the percentage is strict since 2023",
    ),
    _ours(
        2,
        "HashSplitAcrossSubsets",
        WARNING,
        "Consistent hashing does not choose among weighted subsets: users lose their sticky session at each request.",
        "Keep a user on a version by a header or cookie match, not by weights.",
        "istio/istio #9764, #33343; fluxcd/flagger PR #1280",
    ),
    _ours(
        3,
        "FaultHidesRetries",
        WARNING,
        "A rule has a fault and retries or a timeout: injected faults are neither retried nor timed out.",
        "Inject the fault in another rule or at the destination, when retries are to be tested.",
        "istio/istio #13705, #20928: the fault filter stands before the router",
    ),
    _ours(
        4,
        "MirroredWrites",
        WARNING,
        "Requests that write are mirrored too: whatever they do is done twice.",
        "Match `method: {exact: GET}` in the mirroring rule, or make the mirror's writes harmless.",
        "istio.io traffic mirroring; envoyproxy/envoy #14548",
    ),
    _ours(
        5,
        "MeshCallersBypassRoutes",
        WARNING,
        "Only requests through a gateway are split; callers in the mesh get all versions, by number of pods.",
        "Add `mesh` to `gateways`, or a VirtualService for the mesh.",
        "argoproj/rollouts-demo #43",
    ),
    _ours(
        6,
        "PrefixWithoutSlash",
        INFO,
        "A prefix is compared letter by letter: it takes longer names too.",
        "Match `exact` and a prefix that ends with `/`.",
        "Envoy RouteMatch.prefix",
    ),
    _ours(
        7,
        "RuleAfterCatchAll",
        WARNING,
        "Rules after one that takes every path are never reached.",
        "Put the rule for everything last.",
        "istio/istio pilot/pkg/networking/core/route/route.go IsCatchAllRoute",
    ),
    _ours(
        8,
        "WeightsWithoutEffect",
        ERROR,
        "All weights are zero: Istio refuses the rule.",
        "Give at least one destination a weight above zero.",
        "istio/istio pkg/config/validation validateWeights",
        certain=True,
    ),
    _ours(
        9,
        "SingleWeightIgnored",
        WARNING,
        "The only destination of a rule gets every request, whatever its weight: 0 does not take it out.",
        "Remove the rule, or give it a second destination.",
        "istio/istio #31745; route.go translateRoute: weight of a single destination is not used",
    ),
    _ours(
        10,
        "SubsetAndRouteTogether",
        WARNING,
        "A route to a new subset is applied together with it: proxies that learn the route first answer 503.",
        "Apply the DestinationRule first and wait (`meshtest plan` prints the order).",
        "istio/istio #8420; helm #4560",
    ),
    _ours(
        11,
        "SubsetRemovedInUse",
        ERROR,
        "A subset goes away while a route still leads to it: its requests end in 503 (NC).",
        "Move the route first, remove the subset afterwards.",
        "istio/istio #6335: validate_clusters is off, so Envoy accepts it",
        certain=True,
    ),
    _ours(
        12,
        "RetriedWrites",
        WARNING,
        "Requests that are not idempotent are retried on answers that may come after the work was done.",
        "Limit the rule to idempotent methods, or `retryOn` to `connect-failure,refused-stream`.",
        "istio/istio #13851, #27340, #51619",
    ),
    _ours(
        13,
        "OutlierDetectionPrefersLocality",
        INFO,
        "Outlier detection switches on locality failover: callers leave pods in other zones idle.",
        "Set `localityLbSetting: {enabled: false}` if load is to be spread over zones.",
        "istio/istio #48084, #23914",
    ),
    _ours(
        14,
        "SubsetsOverlap",
        WARNING,
        "Subsets of one host select the same pods: a split between them does not split.",
        "Give each subset labels that only its version has.",
        "istio/istio pilot/pkg/networking/core/cluster_builder.go: a subset is a label selection",
    ),
    _ours(
        15,
        "GraceShorterThanDrain",
        WARNING,
        "A pod is killed before it has drained: the grace period is shorter than preStop and drain together.",
        "Raise `terminationGracePeriodSeconds` above preStop plus drain time.",
        "istio/istio #7665, #34855: terminationDrainDuration is 5 s by default",
    ),
    _ours(
        16,
        "CanarySampleTooSmall",
        WARNING,
        "The first step of a canary sends it too few requests in one interval for its checks to mean anything.",
        "Use longer intervals, larger steps, or send load of your own during the analysis.",
        "fluxcd/flagger #191, #1005: no values found; binomial sample sizes",
    ),
    _ours(
        17,
        "GatewayHostClaimedTwice",
        WARNING,
        "Several VirtualServices have the host at one gateway: their rules are merged in order of age.",
        "Merge them, or make sure that no two rules match the same request.",
        "istio/istio #36621, #10464, #37500",
    ),
    _ours(
        18,
        "PlaintextIntoStrict",
        ERROR,
        "Callers are told to send plaintext to a workload that takes mutual TLS only: connections are reset.",
        "Remove `tls.mode: DISABLE`, or make the workload PERMISSIVE.",
        "istio/istio #6279, #7666, #34508",
        certain=True,
    ),
    _ours(
        19,
        "PortSettingsReplacePolicy",
        INFO,
        "Port-level settings replace the whole policy of the port: nothing is inherited from the level above.",
        "Repeat what is needed of the outer policy in the port's settings.",
        "istio/istio pilot/pkg/networking/util GetPortLevelTrafficPolicy",
    ),
    _ours(
        20,
        "NoDrainBeforeExit",
        INFO,
        "A pod behind a Service has no preStop hook: it may exit while proxies still send to it.",
        "Add a preStop sleep of a few seconds, longer than endpoints take to spread.",
        "istio/istio #7665, #11130; Kubernetes: pod termination",
    ),
    _ours(
        21,
        "NotReadyBeforeTraffic",
        INFO,
        "Pods behind a Service have no readiness probe: they get requests before they can answer them.",
        "Add a `readinessProbe`.",
        "Kubernetes: a container without a probe is ready when it runs",
    ),
    _ours(
        22,
        "LinkToNamespaceNotGranted",
        ERROR,
        "A route refers to another namespace, and no ReferenceGrant there allows it: it answers 500.",
        "Add a ReferenceGrant in the other namespace.",
        "kubernetes-sigs/gateway-api: ReferenceGrant",
        certain=True,
    ),
    _ours(
        23,
        "RegexMatchesWhole",
        INFO,
        "A regular expression must match the whole value in Envoy; this one looks as if it searched.",
        "Add `.*` where more may follow, or use `prefix`.",
        "Envoy RegexMatcher: full match",
    ),
    _ours(
        901,
        "SilencedWithoutReason",
        WARNING,
        "A rule is silenced, and nobody says why.",
        "Add `because ...`.",
        "meshtest",
    ),
    _ours(
        902,
        "SilencedForNothing",
        WARNING,
        "A rule is silenced that does not bite here (any more).",
        "Remove the comment or annotation.",
        "meshtest",
    ),
    _ours(
        903,
        "SilencedUnknownCode",
        WARNING,
        "A code is silenced that does not exist.",
        "Correct it; `meshtest preflight --rules` lists all.",
        "meshtest",
    ),
)
