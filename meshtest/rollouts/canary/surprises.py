"""Where Flagger surprises: it does what its documentation does not say, or the opposite. One code each.

The simulation is equal to Flagger in all of them, and names the code in the tick where it happens (steps.Note), where
that can be told; bites.py finds those that a Canary as written will run into. `source` is the file of fluxcd/flagger at
15bd6ad (1.44.0) that decides, or the issue where users met it.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True)
class Surprise:
    """What happens, in one sentence, and where it is decided."""

    code: str
    says: str
    source: str


_SCHEDULER = "pkg/controller/scheduler.go"
_HOOKS = "pkg/controller/scheduler_hooks.go"
_METRICS = "pkg/controller/scheduler_metrics.go"
_WEBHOOK = "pkg/controller/webhook.go"
_STATUS = "pkg/canary/status.go"
_CANARY = "pkg/apis/flagger/v1beta1/canary.go"
_ISTIO = "pkg/router/istio.go"
_GATEWAY = "pkg/router/gateway_api.go"
_SMI = "pkg/router/smi.go"

_ALL = (
    Surprise(
        "FL01",
        "While confirm-rollout waits, rollback hooks are not called: there is no way to give up but a new revision.",
        f"{_SCHEDULER} checkCanaryStatus returns before runRollbackHooks; issues #1432, #738",
    ),
    Surprise(
        "FL02",
        "A revision that arrives during the analysis restarts it at weight 0 without asking confirm-rollout: "
        "the approval of the revision before lets it through.",
        f"{_SCHEDULER} hasCanaryRevisionChanged",
    ),
    Surprise(
        "FL03",
        "Blue/green asks confirm-promotion twice; denied the second time, all users stay on the new version while the "
        "status reports weight 0.",
        f"{_SCHEDULER} runBlueGreen; {_STATUS} setStatusPhase",
    ),
    Surprise(
        "FL04",
        "Waiting for promotion, the status reports weight 0 and one iteration too few (-1 for a weighted canary), "
        "while the routes stay as they were.",
        f"{_STATUS} setStatusPhase; {_HOOKS} runConfirmPromotionHooks",
    ),
    Surprise(
        "FL05",
        "While confirm-traffic-increase denies the first step, the pre-rollout hooks run again at every tick.",
        f"{_SCHEDULER} advanceCanary: weight 0 means not started",
    ),
    Surprise(
        "FL06",
        "A rollback comes a whole interval after the last failed check, and until then the traffic stays as it is: "
        "users meet a bad version for threshold + 1 intervals.",
        f"{_SCHEDULER} advanceCanary: failed checks are compared before the checks run",
    ),
    Surprise(
        "FL07",
        "maxWeight is no maximum: the canary is promoted from the first step at or above it, which may be higher.",
        f"{_SCHEDULER} runCanary; docs/gitbook/usage/deployment-strategies.md calls it a maximum",
    ),
    Surprise("FL08", "With stepWeights, maxWeight is ignored.", f"{_SCHEDULER} maxWeight"),
    Surprise(
        "FL09",
        "Flagger cannot see its own mirror here, so a weighted canary stays at weight 0 for ever: pre-rollout hooks "
        "run again at every tick, no check fails, no event says so.",
        f"{_GATEWAY} and {_ISTIO} SetRoutes, GetRoutes; issue #1732",
    ),
    Surprise("FL10", "Without a step the canary never advances, and nothing says so.", f"{_SCHEDULER} nextStepWeight"),
    Surprise(
        "FL11",
        "match without iterations is no A/B test: the matching users get a weighted canary.",
        f"{_CANARY} DeploymentStrategy",
    ),
    Surprise(
        "FL12",
        "Going back to the promoted version during the analysis does not end it: the old version is analysed, promoted "
        "as if it were new, and the revision that was withdrawn counts as promoted.",
        "pkg/canary/spec.go hasSpecChanged",
    ),
    Surprise(
        "FL13",
        "The cookie of the primary is drawn once and never again, so a user may stay on the primary for all steps and "
        "all rollouts.",
        f"{_ISTIO} getSessionAffinityRouteRules; docs promise a new one a step",
    ),
    Surprise(
        "FL14",
        "An interval below 10 s is 10 s; one that Go cannot parse, like `1mm`, passes the schema and is 60 s.",
        f"{_CANARY} GetAnalysisInterval",
    ),
    Surprise("FL15", "A threshold of 0 or less is 1.", f"{_CANARY} GetAnalysisThreshold"),
    Surprise(
        "FL16",
        "Failed checks add up over the whole analysis: no number of good checks takes one back.",
        f"{_SCHEDULER} SetStatusFailedChecks",
    ),
    Surprise(
        "FL17",
        "A hook that answers 203, 204 or 206 denies: only 200, 201 and 202 pass, though the documentation says 2xx.",
        f"{_WEBHOOK} callWebhook",
    ),
    Surprise(
        "FL18",
        "The reason in the body of a 429 or 5xx never reaches the event: these are retried, and their text is lost.",
        f"{_WEBHOOK} newHTTPClient; hashicorp/go-retryablehttp client.go",
    ),
    Surprise(
        "FL19",
        "confirm-rollout is sent with the checksum of the revision before, unless that one failed.",
        f"{_SCHEDULER} checkCanaryStatus; {_WEBHOOK} canaryChecksum",
    ),
    Surprise(
        "FL20",
        "On plain Kubernetes every analysis is blue/green without users: match is dropped, a weighted canary becomes "
        "10 iterations, and only the `-canary` Service reaches the new version.",
        f"{_SCHEDULER} advanceCanary; pkg/router/nop.go",
    ),
    Surprise(
        "FL21",
        "When the primary fails during promotion, plain Kubernetes cannot send users to the canary: the status reports "
        "weight 100, and everybody stays on the broken primary.",
        f"{_SCHEDULER} handleFailedPromotion; pkg/router/nop.go",
    ),
    Surprise(
        "FL22",
        "After a failure, a new revision that arrives while the primary is not ready is forgotten: it counts as seen, "
        "and is never analysed.",
        f"{_SCHEDULER} shouldAdvance syncs the status of a failed Canary before the primary is looked at",
    ),
    Surprise(
        "FL23",
        "After a failed promotion all users are on the canary; the next revision replaces its pods without analysis, "
        "and the tick after sends everybody to the primary that is still broken, and scales the canary to zero.",
        f"{_SCHEDULER} advanceCanary: only Promoting and Finalising spare the canary; issue #1931",
    ),
    Surprise(
        "FL24",
        "A revision that arrives during promotion gets the canary's share of users without any check, until the "
        "traffic is back on the primary.",
        f"{_SCHEDULER} hasCanaryRevisionChanged looks in Progressing and WaitingPromotion only",
    ),
    Surprise(
        "FL25",
        "A rollback because a workload never became ready sends no alert; `Progress deadline exceeded` is never sent.",
        f"{_SCHEDULER} rollback alerts on failed checks only; retriable is always true where the alert stands",
    ),
    Surprise(
        "FL26",
        "An alert without severity is never sent, though the documentation says the default is info.",
        "pkg/controller/events.go alert; docs/gitbook/usage/alerting.md",
    ),
    Surprise(
        "FL27",
        "Ready thresholds are rounded down: below 100 % a single replica counts as ready before it is.",
        "pkg/canary/deployment_ready.go isDeploymentReady",
    ),
    Surprise(
        "FL28",
        "stepWeights that do not rise stop the canary for ever at the weight before: checks go on, nothing is "
        "promoted, no event says so.",
        f"{_SCHEDULER} nextStepWeight",
    ),
    Surprise(
        "FL29",
        "A weight that is not among stepWeights - they were edited during a rollout - goes straight to 100.",
        f"{_SCHEDULER} nextStepWeight",
    ),
    Surprise(
        "FL30",
        "With a mirror, the first step is not limited: a stepWeight above 100 writes a negative weight.",
        f"{_SCHEDULER} runCanary",
    ),
    Surprise(
        "FL31",
        "Without thresholdRange and threshold a request-success-rate passes at any value, while any other metric fails "
        "above 0.",
        f"{_METRICS} runBuiltinMetricChecks, runMetricChecks",
    ),
    Surprise(
        "FL32",
        "The bounds of request-duration are whole milliseconds: 0.5 is 0 ms.",
        f"{_METRICS} runBuiltinMetricChecks",
    ),
    Surprise(
        "FL33",
        "A metric called request-success-rate or request-duration is the built-in one even if it has a templateRef or "
        "query: both are checked.",
        f"{_METRICS} runBuiltinMetricChecks, runMetricChecks",
    ),
    Surprise(
        "FL34",
        "For a target of kind Service the built-in metrics are Istio's, with Linkerd and plain Kubernetes too.",
        f"{_METRICS} MetricsProviderServiceSuffix; pkg/metrics/observers/factory.go",
    ),
    Surprise(
        "FL35",
        "The provider linkerd writes SMI TrafficSplits, which cannot match: an A/B test sends all users to the canary "
        "at the first iteration, and a match without iterations is no condition.",
        "pkg/router/smi.go SetRoutes",
    ),
    Surprise(
        "FL36",
        "match and sessionAffinity do not go together: Istio loses the cookies; on Gateway API everybody gets the "
        "canary's weight, and Flagger takes it back at every tick, so that a weighted canary never gets beyond its "
        "first step.",
        f"{_ISTIO} and {_GATEWAY} SetRoutes, Reconcile",
    ),
    Surprise(
        "FL37",
        "sessionAffinity is ignored by this provider, as it is for TCP.",
        "pkg/router: only istio.go and gateway_api*.go read it",
    ),
    Surprise(
        "FL38",
        "An analysis without metrics and without rollout hooks promotes whatever becomes ready.",
        f"{_SCHEDULER} runAnalysis",
    ),
    Surprise(
        "FL39",
        "This Canary never initialises: the route is refused at every tick, after the target was scaled to zero.",
        f"{_GATEWAY} and {_ISTIO} Reconcile; {_SCHEDULER} advanceCanary",
    ),
    Surprise(
        "FL40",
        "mirrorWeight is Istio's only: elsewhere all requests are mirrored.",
        f"{_GATEWAY} SetRoutes",
    ),
    Surprise(
        "FL41",
        "The first deployment gets no analysis: it becomes the primary as it is.",
        f"{_SCHEDULER} setPhaseInitialized; issue #676",
    ),
    Surprise(
        "FL42",
        "No traffic is a failed check: a metric without a value, or NaN, halts like a bad one.",
        f"{_METRICS}; issues #1035, #1365",
    ),
    Surprise(
        "FL43",
        "confirm-traffic-increase is asked by weighted canaries only: A/B tests and blue/green expose users without.",
        f"{_SCHEDULER} advanceCanary",
    ),
    Surprise(
        "FL44",
        "skipAnalysis skips rollback and pre-rollout hooks and the readiness of the primary, but not confirm-rollout.",
        f"{_SCHEDULER} shouldSkipAnalysis",
    ),
    Surprise(
        "FL45",
        "A timeout that Go cannot parse, like `5mm`, passes the schema, and every call of the hook fails.",
        f"{_WEBHOOK} callWebhook",
    ),
    Surprise(
        "FL46",
        "During promotion nothing is checked: with stepWeightPromotion the primary takes over step by step whatever "
        "hooks and metrics would say.",
        f"{_SCHEDULER} runPromotionTrafficShift",
    ),
    Surprise(
        "FL47",
        "suspend during an analysis leaves the traffic split as it is, for as long as it lasts.",
        f"{_SCHEDULER} advanceCanary",
    ),
    Surprise(
        "FL48",
        "On Istio an A/B test by queryParams loses its condition where service.match is set: all users get the canary.",
        f"{_ISTIO} mergeMatchConditions copies headers and sourceLabels only",
    ),
    Surprise(
        "FL49",
        "Gateway API knows no such condition, Flagger drops the error, and the rule of the canary matches everybody.",
        f"{_GATEWAY} SetRoutes ignores the error of mapRouteMatches",
    ),
    Surprise(
        "FL50",
        "While confirm-promotion denies, an A/B test is asked at every other tick only.",
        f"{_HOOKS} runConfirmPromotionHooks sets the iterations back by one",
    ),
    Surprise(
        "FL51",
        "When the canary's pods break during promotion, the rollout is reported as failed and rolled back - to a "
        "primary that has the new version already: all users stay on it.",
        f"{_SCHEDULER} advanceCanary looks at the canary before it looks at the phase",
    ),
    Surprise(
        "FL52",
        "With sessionAffinity on Istio a mirror stands in the rule of the cookie: from the second rollout on only "
        "requests with the cookie of the rollout before are copied.",
        f"{_ISTIO} SetRoutes mirrors the first rule",
    ),
    Surprise(
        "FL53",
        "With stepWeightPromotion the promotion never ends once the canary's weight is 0: match and sessionAffinity "
        "together bring it there on Gateway API.",
        f"{_SCHEDULER} runPromotionTrafficShift",
    ),
    Surprise(
        "FL54",
        "With sessionAffinity a mirror is taken away and set again at every tick of the first rollout: Flagger does "
        "not recognise the rule that it made.",
        f"{_ISTIO} and {_GATEWAY} Reconcile",
    ),
    Surprise(
        "FL55",
        "A primary that misses its deadline at the very first deployment does not fail the Canary: the rollback needs "
        "a route that is not there yet, so it is tried again at every tick, without post-rollout hooks.",
        f"{_SCHEDULER} rollback; {_ISTIO} SetRoutes",
    ),
    Surprise("FL56", "An A/B test never mirrors: mirror is ignored.", f"{_SCHEDULER} runAB"),
    Surprise(
        "FL57",
        "The provider linkerd splits the requests for the first of `hosts` in place of those for the Service: unless "
        "that is its name, no traffic ever moves.",
        f"{_SMI} Reconcile",
    ),
    Surprise(
        "FL58",
        "With sessionAffinity and service.headers on Istio, the Set-Cookie that ends the cookie of a rollout gets onto "
        "every response, for one interval; then it is gone, and users who did not come in time keep their cookie.",
        f"{_ISTIO} getSessionAffinityRouteRules adds to spec.service.headers itself",
    ),
    Surprise(
        "FL59",
        "The provider's routes have no such thing, and Flagger leaves it out without a word.",
        f"{_ISTIO}, {_GATEWAY}, pkg/router/gateway_api_v1beta1.go, {_SMI}",
    ),
    Surprise(
        "FL60",
        "A maxWeight above 100 is never reached: the canary gets all users, is checked for ever and never promoted.",
        f"{_SCHEDULER} runCanary stops at 100 and compares with maxWeight",
    ),
)

SURPRISES: Mapping[str, Surprise] = {surprise.code: surprise for surprise in _ALL}
"""By code."""
