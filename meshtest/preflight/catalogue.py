"""Every code there is, by its name: IST are istioctl's, MT our own, FL the surprises of Flagger."""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.preflight.codes_flagger import FLAGGER
from meshtest.preflight.codes_istio import ISTIO
from meshtest.preflight.codes_ours import OURS
from meshtest.preflight.rules import Code

CODES: Mapping[str, Code] = {code.code: code for code in (*ISTIO, *OURS, *FLAGGER)}
