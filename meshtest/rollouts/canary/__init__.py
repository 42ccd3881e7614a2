"""Flagger's Canary as a pure function: (Canary, state, observations) -> (state, actions, events), tick by tick.

    spec.py          what a Canary asks for; reading.py reads it (with reading_service.py, reading_analysis.py),
                     fields.py is its field table
    state.py         where a rollout is; status.py how Flagger writes it down
    observations.py  what the world answers, as data; replies.py the single answers, readiness.py who is ready
    steps.py         what a tick asks, does and says; turn.py the tick in progress
    tick.py          the order of a tick, through beginning.py, hooks.py, metrics.py, strategies.py (with weights.py),
                     promotion.py and failure.py
    routers.py       what each provider makes of a weight; affinity.py the cookies
    driver.py        performs ticks: on data, or step by step on whatever the caller has
    surprises.py     what Flagger does and does not tell, each with a code; bites.py those that a Canary as written has
    course.py        the state machine asked ahead, until it ends or turns in circles; plan.py what that means to people
    power.py         chances of promotion and rollback: from traffic.py, limits.py (metrics) and chances.py; draws.py
                     where windows overlap too much to sum them up
    objects/         what it makes of the cluster: primary, autoscaler, Services, routes

Equal to fluxcd/flagger at 15bd6ad (1.44.0): tests/conformance/test_flagger.py. Not here: the deletion of a Canary; what
autoscalers do under load.
"""

from meshtest.rollouts.canary.driver import Done as Done
from meshtest.rollouts.canary.driver import Tick as Tick
from meshtest.rollouts.canary.driver import advance as advance
from meshtest.rollouts.canary.driver import drive as drive
from meshtest.rollouts.canary.driver import run as run
from meshtest.rollouts.canary.observations import Observations as Observations
from meshtest.rollouts.canary.observations import Target as Target
from meshtest.rollouts.canary.replies import Answer as Answer
from meshtest.rollouts.canary.replies import Readiness as Readiness
from meshtest.rollouts.canary.replies import Reading as Reading
from meshtest.rollouts.canary.spec import Canary as Canary
from meshtest.rollouts.canary.state import Phase as Phase
from meshtest.rollouts.canary.state import Routes as Routes
from meshtest.rollouts.canary.state import State as State
from meshtest.rollouts.canary.steps import Refused as Refused
from meshtest.rollouts.canary.tick import tick as tick

__all__ = [
    "Answer", "Canary", "Done", "Observations", "Phase", "Readiness", "Reading", "Refused", "Routes", "State", "Target",
    "Tick", "advance", "drive", "run", "tick",
]  # fmt: skip
