"""suites/flagger/deploy: what is applied to a cluster is what the endpoint needs, and kubectl reads it."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshtest.cli import webhook_serve
from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read
from meshtest.model.diagnostic import Severity
from meshtest.preflight import examine

DEPLOY = Path(__file__).parents[2] / "suites" / "flagger" / "deploy"
KUBECTL = shutil.which("kubectl")
INSTALL = "no kubectl: apt-get install kubernetes-client, or https://kubernetes.io/docs/tasks/tools/"
KINDS = {
    "base": ["Deployment", "Namespace", "NetworkPolicy", "PersistentVolumeClaim", "Service", "ServiceAccount"],
    "reads-cluster": [
        "Deployment", "Namespace", "NetworkPolicy", "PersistentVolumeClaim", "Role", "RoleBinding", "Service",
        "ServiceAccount",
    ],
}  # fmt: skip


def document(name: str) -> dict[str, Any]:
    found = yaml.safe_load((DEPLOY / "base" / f"{name}.yaml").read_text())
    assert isinstance(found, dict)
    return found


def pod() -> dict[str, Any]:
    found: dict[str, Any] = document("deployment")["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    assert isinstance(only, dict)
    return only


def parsed(words: list[str]) -> argparse.Namespace:
    """As `meshtest webhook serve` reads them; exits if it cannot."""
    parser = argparse.ArgumentParser()
    webhook_serve.arguments(parser)
    return parser.parse_args(words)


# -- with kubectl, which needs no cluster for this


def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
    if KUBECTL is None:
        pytest.skip(INSTALL)
    return subprocess.run(
        [KUBECTL, *words], text=True, capture_output=True, timeout=120, check=False, env={"KUBECONFIG": "/dev/null"}
    )


@pytest.mark.parametrize("name", ["base", "reads-cluster"])
def test_kubectl_builds_it_and_reads_every_object(name: str, tmp_path: Path) -> None:
    built = kubectl("kustomize", str(DEPLOY / name))
    if "cannot unmarshal object into Go struct field Kustomization.patches" in built.stderr:
        pytest.skip(
            "this kubectl is older than 1.21, and knows no `patches` by path: https://kubernetes.io/docs/tasks/tools/"
        )
    assert built.returncode == 0, built.stderr
    objects = list(yaml.safe_load_all(built.stdout))
    assert sorted(one["kind"] for one in objects) == KINDS[name]
    (tmp_path / "all.yaml").write_text(built.stdout)
    assert undecodable(tmp_path / "all.yaml") == []
    (deployment,) = (one for one in objects if one["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/meshtest:1"
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is (name == "reads-cluster")


def undecodable(path: Path) -> list[str]:
    """What kubectl says that does not fit its types. It has to decode each object, and edits none."""
    edited = kubectl("set", "image", "--local", "-f", str(path), "meshtest=other", "-o", "name")
    return re.findall(r"unable to decode.*", edited.stderr)


def test_kubectl_would_find_a_wrong_type(tmp_path: Path) -> None:
    claim = document("claim")
    claim["spec"]["accessModes"] = "ReadWriteOnce"
    (tmp_path / "claim.yaml").write_text(json.dumps(claim))
    assert undecodable(tmp_path / "claim.yaml")


# -- without it


def test_the_image_and_the_deployment_start_what_the_command_line_knows() -> None:
    lines = (DEPLOY / "Containerfile").read_text()
    entry, command = (json.loads(re.findall(rf"^{word} (\[.*\])$", lines, re.M)[-1]) for word in ("ENTRYPOINT", "CMD"))
    assert entry == ["meshtest", "webhook", "serve"]
    image, deployed = parsed(command), parsed(container()["args"])
    assert (image.suites, image.state, image.listen) == (deployed.suites, deployed.state, deployed.listen)
    assert re.search(r"^USER 10001", lines, re.M)
    assert pod()["securityContext"]["runAsUser"] == 10001


def test_one_port_from_the_listener_to_the_service() -> None:
    port = int(parsed(container()["args"]).listen.rpartition(":")[2])
    assert port == int(parsed(["--suites", "x"]).listen.rpartition(":")[2]), "the default of the command line"
    (named,) = container()["ports"]
    (served,) = document("service")["spec"]["ports"]
    assert (named["containerPort"], served["port"], served["targetPort"]) == (port, port, named["name"])
    (admitted,) = document("networkpolicy")["spec"]["ingress"][0]["ports"]
    assert admitted["port"] == port


def test_probes_ask_routes_that_need_no_credential() -> None:
    from meshtest.webhook.routes import ROUTES

    public = {route.path for route in ROUTES if route.public}
    probes = [container()[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["path"] for probe in probes} <= public
    assert container()["livenessProbe"]["httpGet"]["path"] == "/healthz", "what drains must not be killed"


def test_what_is_written_lies_on_the_claim_and_the_root_is_read_only() -> None:
    options, mounts = parsed(container()["args"]), {one["mountPath"]: one for one in container()["volumeMounts"]}
    volumes = {one["name"]: one for one in pod()["volumes"]}
    claim = volumes[mounts[str(options.state)]["name"]]["persistentVolumeClaim"]["claimName"]
    assert claim == document("claim")["metadata"]["name"]
    assert volumes[mounts[str(options.token_file.parent)]["name"]]["secret"]["secretName"] == "meshtest-token"
    assert "emptyDir" in volumes[mounts["/tmp"]["name"]]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip


def test_there_is_one_writer_and_it_has_time_to_drain() -> None:
    spec = document("deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    options = parsed(container()["args"])
    assert pod()["terminationGracePeriodSeconds"] >= options.drain + options.grace + 5
    assert document("claim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_it_may_do_nothing_in_the_cluster_unless_that_is_chosen() -> None:
    assert document("serviceaccount")["automountServiceAccountToken"] is False
    assert pod()["automountServiceAccountToken"] is False
    role, _ = yaml.safe_load_all((DEPLOY / "reads-cluster" / "role.yaml").read_text())
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert "secrets" not in {name for rule in role["rules"] for name in rule["resources"]}


def test_selectors_meet_labels() -> None:
    labels = document("deployment")["spec"]["template"]["metadata"]["labels"]
    assert document("deployment")["spec"]["selector"]["matchLabels"] == labels
    assert document("service")["spec"]["selector"] == labels
    assert document("networkpolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_preflight_has_no_objection() -> None:
    documents = read(*(str(DEPLOY / "base" / f"{name}.yaml") for name in ("deployment", "service", "namespace")))
    found = examine(documents, None, compile(documents).diagnostics)
    assert [str(one) for one in found if one.severity is Severity.ERROR] == []


def test_the_suites_of_the_image_are_ones() -> None:
    from meshtest.webhook.suites import load_suites

    assert sorted(load_suites(DEPLOY.parent)) == ["acceptance"]
