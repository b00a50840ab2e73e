"""The chart, rendered with the template language that Helm uses and checked against the schemas of
Kubernetes, KEDA and the Prometheus operator; what it tells stoker is checked by stoker itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from stoker.config.load import load
from tests.support.programs import program

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "stoker"
SUPPORT = ROOT / "tests" / "support" / "helm"
GO_SOURCES = Path("/usr/share/gocode")
SPRIG = "golang-github-masterminds-sprig-dev"
KEDA, PROMETHEUS = "@kubernetes-models/keda@0.4.2", "@kubernetes-models/prometheus-operator@6.0.0"
KEY = "0123456789abcdef" * 4
OWN = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
CONFIG = {
    "tenants": [{"name": "team", "budget": 5.0}],
    "keys": [{"id": "k", "tenant": "team", "digest": f"sha256:{KEY}"}],
}
PLAIN = {"ticketKey": {"value": KEY}, "config": CONFIG}
ALL = PLAIN | {
    "autoscaling": {"enabled": True, "minimum": 0},
    "monitoring": {"enabled": True},
    "ingress": {"enabled": True, "tlsSecret": "tls"},
    "front": {"allowedHosts": ["models.example"]},
}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("render")
    go = program("go", "golang-go")
    if not (GO_SOURCES / "src/github.com/Masterminds/sprig").exists():
        subprocess.run(["apt-get", "-qq", "install", "-y", SPRIG], check=True, timeout=600)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GOPATH": str(GO_SOURCES),
        "GOCACHE": str(folder / "cache"), "GO111MODULE": "off",
    }  # fmt: skip
    subprocess.run(
        [go, "build", "-o", str(folder / "render"), str(SUPPORT / "render.go")],
        check=True, env=environment, timeout=300,
    )  # fmt: skip
    return folder / "render"


def rendered(renderer: Path, folder: Path, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(chosen))
    done = subprocess.run(
        [str(renderer), str(CHART), "demo", "default", str(path)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr)
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@pytest.mark.parametrize("chosen", [PLAIN, ALL], ids=["plain", "everything"])
def test_every_resource_is_one_that_kubernetes_knows(
    renderer: Path, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    documents = rendered(renderer, tmp_path, chosen)
    assert {one["kind"] for one in documents} >= {
        "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "Secret", "ConfigMap",
    }  # fmt: skip
    for document in documents:
        if document["apiVersion"] not in OWN:
            version = kubernetes_validate.latest_version()
            kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_field_would_be_noticed(renderer: Path, tmp_path: Path) -> None:
    found = next(one for one in rendered(renderer, tmp_path, PLAIN) if one["kind"] == "Deployment")
    found["spec"]["template"]["spec"]["conainers"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)


def test_custom_resources_are_as_their_operators_want_them(renderer: Path, tmp_path: Path) -> None:
    custom = [one for one in rendered(renderer, tmp_path, ALL) if one["apiVersion"] in OWN]
    assert {one["kind"] for one in custom} == {"ScaledObject", "ServiceMonitor"}
    shutil.copy(SUPPORT / "validate.mjs", tmp_path)
    subprocess.run(
        [program("npm", "npm"), "install", "--silent", "--no-audit", "--no-fund", KEDA, PROMETHEUS],
        check=True, cwd=tmp_path, capture_output=True, timeout=300,
    )  # fmt: skip
    command = [program("node", "nodejs"), "validate.mjs"]
    done = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(custom), capture_output=True, text=True
    )
    assert sorted(done.stdout.split()) == ["ScaledObject", "ServiceMonitor"], done.stderr
    scaled = next(one for one in custom if one["kind"] == "ScaledObject")
    scaled["spec"]["maxReplicaCount"] = "many"
    wrong = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(custom), capture_output=True, text=True
    )
    assert wrong.returncode != 0, "a wrong field must be noticed"


def test_the_front_is_told_what_stoker_understands(renderer: Path, tmp_path: Path) -> None:
    documents = rendered(renderer, tmp_path, ALL)
    text = next(one for one in documents if one["kind"] == "ConfigMap")["data"]["stoker.yaml"]
    key = tmp_path / "ticket.key"
    key.write_text(KEY)
    key.chmod(0o600)
    path = tmp_path / "stoker.yaml"
    path.write_text(text.replace("/etc/stoker/ticket/ticket.key", str(key)))
    config = load(path=path, environ={}).config
    assert config.models[0].placer == "kubernetes"
    assert config.models[0].urls == ("http://demo-stoker-replica.default.svc:8001",)
    assert "models.example" in config.server.allowed_hosts
    assert config.tenants[0].name == "team"


def test_replicas_are_started_with_flags_that_exist(renderer: Path, tmp_path: Path) -> None:
    from stoker.cli.serve import command

    known = {name for parameter in command.params for name in parameter.opts}
    deployments = [
        one for one in rendered(renderer, tmp_path, PLAIN) if one["kind"] == "Deployment"
    ]
    for deployment in deployments:
        arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert arguments[0] == "serve"
        assert {one for one in arguments if str(one).startswith("--")} <= known


def test_without_a_ticket_key_nothing_is_rendered(renderer: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="openssl rand -hex 32"):
        rendered(renderer, tmp_path, {})
