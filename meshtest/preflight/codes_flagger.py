"""Where a Canary as written runs into a surprise of Flagger's: codes of rollouts/canary/surprises.py, and the way out.

The sentences are those of the state machine, which does the same; here stand how much it matters, and the fix. Codes
that depend on what happens in a run are told by the rehearsal alone.
"""

from __future__ import annotations

from meshtest.model.diagnostic import Severity
from meshtest.preflight.rules import Code
from meshtest.rollouts.canary.surprises import SURPRISES

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


def _flagger(code: str, name: str, severity: Severity, fix: str) -> Code:
    surprise = SURPRISES[code]
    source = f"fluxcd/flagger {surprise.source}"
    return Code(code=code, name=name, severity=severity, says=surprise.says, fix=fix, source=source)


FLAGGER: tuple[Code, ...] = (
    _flagger(
        "FL01",
        "RollbackDeafWhileWaiting",
        WARNING,
        "Let confirm-rollout end by itself, or gate the first step by confirm-traffic-increase instead.",
    ),
    _flagger(
        "FL02",
        "ApprovalOutlivesRevision",
        WARNING,
        "Close the gate when the checksum changes, or ask again by confirm-promotion.",
    ),
    _flagger(
        "FL03",
        "ConfirmPromotionTwice",
        WARNING,
        "Let the gate keep its yes for as long as the checksum is the same.",
    ),
    _flagger(
        "FL04",
        "WaitingReportsWeightZero",
        INFO,
        "Read the weights of the route, not of the status, while a promotion waits.",
    ),
    _flagger(
        "FL05",
        "PreRolloutRepeats",
        INFO,
        "Make the pre-rollout hooks join a run of the same checksum instead of starting another.",
    ),
    _flagger(
        "FL06",
        "RollbackAnIntervalLate",
        INFO,
        "Lower the threshold by one, shorten the interval, or let a rollback hook ask for it at once.",
    ),
    _flagger(
        "FL07",
        "MaxWeightExceeded",
        WARNING,
        "Make maxWeight a multiple of stepWeight, or write stepWeights.",
    ),
    _flagger("FL08", "MaxWeightIgnored", WARNING, "Remove maxWeight: the last of stepWeights is the last step."),
    _flagger(
        "FL09",
        "MirrorNeverAdvances",
        ERROR,
        "Mirror with iterations (blue/green), or remove the mirror.",
    ),
    _flagger("FL10", "NoStep", ERROR, "Set a stepWeight above 0, stepWeights, or iterations."),
    _flagger("FL11", "MatchWithoutIterations", WARNING, "Set iterations for an A/B test, or remove match."),
    _flagger(
        "FL13",
        "PrimaryCookieNeverRotates",
        INFO,
        "Give primaryCookieName only if users may stay on the old version for as long as the cookie lives.",
    ),
    _flagger("FL14", "IntervalBecomesAnother", WARNING, "Write an interval of 10s or more that Go can parse."),
    _flagger("FL15", "ThresholdBecomesOne", WARNING, "Write `threshold: 1`, or more."),
    _flagger(
        "FL20",
        "KubernetesHasNoWeights",
        WARNING,
        "Write iterations, and send the load of the checks to the `-canary` Service.",
    ),
    _flagger("FL26", "AlertNeverSent", WARNING, "Set `severity: info`, `warn` or `error`."),
    _flagger("FL27", "ReadyRoundedDown", INFO, "Leave ready thresholds at 100, or run enough replicas."),
    _flagger("FL28", "StepsDoNotRise", ERROR, "Write stepWeights that rise."),
    _flagger("FL30", "StepAboveHundred", ERROR, "Write a stepWeight of at most 100."),
    _flagger("FL31", "MetricWithoutBounds", WARNING, "Add a thresholdRange."),
    _flagger("FL32", "BoundCutToMilliseconds", WARNING, "Write whole milliseconds."),
    _flagger("FL33", "NameIsBuiltin", WARNING, "Give the metric another name."),
    _flagger("FL34", "ServiceTargetAsksIstio", WARNING, "Use MetricTemplates for a target of kind Service."),
    _flagger("FL35", "LinkerdCannotMatch", ERROR, "Use Gateway API with Linkerd, or a weighted canary."),
    _flagger("FL36", "MatchLosesSessions", ERROR, "Use either match or sessionAffinity."),
    _flagger("FL37", "SessionAffinityIgnored", WARNING, "Remove sessionAffinity, or use Istio or Gateway API."),
    _flagger("FL38", "NothingIsChecked", WARNING, "Add metrics, or a rollout hook that runs tests."),
    _flagger(
        "FL39",
        "NeverInitialises",
        ERROR,
        "Add gatewayRefs for Gateway API; remove hosts and gateways where delegation is set.",
    ),
    _flagger("FL40", "MirrorWeightIgnored", WARNING, "Remove mirrorWeight, or expect all requests to be copied."),
    _flagger("FL43", "TrafficIncreaseNotAsked", WARNING, "Gate A/B tests and blue/green by confirm-rollout."),
    _flagger("FL44", "SkipSkipsHooks", INFO, "Do not leave skipAnalysis on; use it for one rollout."),
    _flagger("FL45", "TimeoutNeverParses", ERROR, "Write a duration that Go can parse, like `30s`."),
    _flagger(
        "FL46",
        "PromotionUnchecked",
        INFO,
        "Keep the steps of the promotion few, and watch the primary by other means meanwhile.",
    ),
    _flagger("FL48", "QueryParamsLost", ERROR, "Match by headers, or remove service.match."),
    _flagger("FL49", "ConditionMatchesAll", ERROR, "Use `exact` or `regex` in headers or queryParams."),
    _flagger("FL50", "AskedEveryOtherTick", INFO, "Expect an answer of the gate to count an interval later."),
    _flagger("FL52", "MirrorOfOldCookies", WARNING, "Use either a mirror or sessionAffinity."),
    _flagger("FL53", "PromotionNeverEnds", ERROR, "Remove stepWeightPromotion, or match, or sessionAffinity."),
    _flagger("FL54", "MirrorFlaps", WARNING, "Use either a mirror or sessionAffinity."),
    _flagger("FL56", "NoMirrorInTests", WARNING, "Remove the mirror, or match."),
    _flagger("FL57", "SplitsAnotherHost", ERROR, "Remove `hosts`: callers in the mesh name the Service."),
    _flagger("FL58", "CookieEndsForAll", INFO, "Set the headers elsewhere, or expect one more on every response."),
    _flagger("FL59", "LeftOut", WARNING, "Ask for it by an object of your own, or remove it."),
    _flagger("FL60", "MaxWeightOutOfReach", ERROR, "Write a maxWeight of 1 to 100."),
)
