"""`meshtest gate judge.yaml`: canary against baseline by a Prometheus; exits with 0 pass, 1 fail, 5 inconclusive.

The same is started by the endpoint for a suite with `judge: judge.yaml`; who is judged is then told by its variables.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from meshtest.cli import EXIT
from meshtest.cli.options import add_json, pairs, settings_of

PARAMETER = "MESHTEST_PARAM_"
EPILOG = """\
judge.yaml, for a canary beside its primary in an Istio mesh (each line but the first may be left out):

  prometheus: http://prometheus.istio-system:9090
  provider: istio        # or linkerd, gatewayapi, kubernetes; or counters of your own: requests, errors, within
  allowed: 0.1%          # a version that fails so often is fine ...
  worse: 1%              # ... and one that fails so often is bad, if it is `ratio` times as bad as the baseline, too
  ratio: 2
  alpha: 0.01            # how often, at most, a fine version fails
  beta: 0.05             # how often, at most, a bad one passes
  minimum: 100           # requests of the canary before it passes
  latency: 500ms         # slow answers count, too (slow_allowed: 1%, slow_worse: 5%); left out: they do not
  every: 10s             # between looks, which may be as many as you like
  deadline: 10m          # then it is inconclusive, and says how many requests are missing

or canaryConfig: FILE, a Kayenta configuration, and thresholds: {pass: 95, marginal: 75}.
exit codes: 0 pass, 1 fail, 5 inconclusive
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, help="judge.yaml: whom to ask, about whom, and by which rules")
    parser.add_argument("--canary", default="", metavar="NAME", help="fills {{ name }} (default: MESHTEST_CANARY)")
    parser.add_argument(
        "--namespace", default="", help="fills {{ namespace }} (default: MESHTEST_NAMESPACE, or default)"
    )
    parser.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", help="fills {{ variables.NAME }}; repeat it"
    )
    parser.add_argument("--result", type=Path, metavar="FILE", help="write what came of it there, as JSON")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.rollouts.judge.gate import OUTCOMES
    from meshtest.webhook.judging import file, running
    from meshtest.webhook.judging.queries import Names

    told = file.read(arguments.file)
    names = Names(
        name=arguments.canary or os.environ.get("MESHTEST_CANARY", ""),
        namespace=arguments.namespace or os.environ.get("MESHTEST_NAMESPACE", "") or "default",
        parameters={**_from_environment(), **pairs(arguments.variable, "--variable")},
    )
    with running.prometheus(running.settings_for(told, settings_of(arguments).settings)) as asked:
        found = running.run(told, names, asked, say=_quiet if arguments.json else _say)
    if arguments.result:
        arguments.result.write_text(json.dumps(found.data, indent=2) + "\n")
    print(json.dumps(found.data) if arguments.json else f"{found.verdict}: {found.reason}")
    return EXIT[OUTCOMES[found.verdict]]


def _from_environment() -> dict[str, str]:
    """The parameters of a suite: MESHTEST_PARAM_BASE_URL is `base_url`."""
    found = {key: value for key, value in os.environ.items() if key.startswith(PARAMETER)}
    return {key.removeprefix(PARAMETER).lower(): value for key, value in found.items()}


def _say(line: str) -> None:
    print(line, flush=True)


def _quiet(line: str) -> None:
    """Programs want the end only."""
