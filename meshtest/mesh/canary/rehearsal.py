"""A Canary, rehearsed: `mesh.canary("canary.yaml").run(to="v2")`.

     apply ── initialise (un-timed) ── users come ── new revision ── tick, tick, tick ... ── it is over ── users go

Not here: what a tick is (rollouts/canary), how its steps are performed (world.py), who the users are (traffic.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.model.rehearsal import Rehearsal, TickRow

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

SPEED = 20.0
"""A minute of production in three seconds."""


class Rehearsing:
    """One Canary on one mesh. Each run() rolls out another revision, from where the one before has led to."""

    @classmethod
    def of(
        cls,
        mesh: Mesh,
        files: Sequence[str | Path] = (),
        *,
        text: str = "",
        base: Path | None = None,
        name: str = "",
        speed: float = SPEED,
        provider: str = "",
        traffic: Sequence[str] = (),
        allow: Sequence[str] = (),
    ) -> Rehearsing:
        """`name`: which Canary, where the files hold several. `speed`: seconds of production in one of ours.
        `provider`: Flagger's, where the Canary names none (istio). `traffic`: the users, as `GET http://web.test/ 50rps`;
        left out, those of the Canary's own load tests, or 50 requests/s. `allow`: beginnings of the webhook URLs that
        may be called; the others are answered here."""
        raise NotImplementedError

    def run(
        self,
        to: str = "",
        *,
        image: str = "",
        images: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        then: Mapping[int, str] | None = None,
        faults: Sequence[str] = (),
        most: int | None = None,
        told: Callable[[TickRow], None] | None = None,
    ) -> Rehearsal:
        """Roll a new revision out, until it is promoted or rolled back, or after `most` ticks.

        `to`: a tag for the image of the target's first container, or a YAML file with the new Deployment. `image`, or
        `images` by container: whole images, or tags. `annotations`: of the new pods, as `meshtest.dev/errors`; they
        travel to the primary with the promotion. `then`: revisions that come later, by the number of the tick that
        sees them first. `faults`: what the new revision does wrong in its proxy, as `abort=503 percent=10`. `told` is
        called with each tick.
        """
        raise NotImplementedError
