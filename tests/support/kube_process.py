"""A standalone cluster in a scratch folder, driven as a user would: `ropewalk kube`, kubectl, helm.

Other clients get its kubeconfig and their own environment from `Cluster.environment`: nothing here reads or writes what
the user who runs the tests has.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.installation import eventually, free_port

BIN = Path(sys.executable).parent
NAME = "black-box"
SECONDS = 30.0
"""What one command may take before it counts as hung."""

Done = subprocess.CompletedProcess[str]


class Cluster:
    """One `ropewalk kube` process with a home of its own."""

    def __init__(self, *options: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rw-kube-", dir="/tmp"))
        self.port = free_port()
        self.options = options
        self.pid = 0

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return self.home / "kube" / NAME

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """Of every client: the user's own clusters, caches and settings are out of its sight."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "HELM", "XDG_"))}
        return {
            **kept,
            "ROPEWALK_HOME": str(self.home),
            "PATH": f"{BIN}:{kept.get('PATH', '')}",
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.home / "kubectl-cache"),
            "HELM_CACHE_HOME": str(self.home / "helm-cache"),
            "HELM_CONFIG_HOME": str(self.home / "helm-config"),
            "HELM_DATA_HOME": str(self.home / "helm-data"),
        }

    # --- its life

    def start(self) -> None:
        """Until it is ready and every simulated node takes pods."""
        common = ("--standalone", "--name", NAME, "--port", str(self.port), "--detach")
        self.ropewalk("kube", *common, *self.options)
        self.pid = int(json.loads((self.folder / "run" / "kube.pid").read_bytes())["pid"])
        if "--simulated-nodes" in self.options:
            wanted = int(self.options[self.options.index("--simulated-nodes") + 1])
            eventually(lambda: self._nodes_ready() == wanted, "the nodes are ready")

    def _nodes_ready(self) -> int:
        listed = self.kubectl("get", "nodes", "-o", "json")
        conditions = [condition for node in json.loads(listed)["items"] for condition in node["status"]["conditions"]]
        return sum((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    def stop(self) -> None:
        self.ropewalk("kube", "down", NAME)
        assert not self.is_running()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        eventually(lambda: not self.is_running(), "it is dead")

    def is_running(self) -> bool:
        """A zombie has ended: its parent is not ours to hurry."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat[stat.rindex(")") + 2] not in "ZX"

    def forget(self) -> None:
        """Stop it and remove its state; proves that nothing stays."""
        self.ropewalk("kube", "down", NAME, "--forget")
        assert not self.is_running(), "the process stayed"
        assert not self.folder.exists(), "its folder stayed"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))

    def discard(self) -> None:
        """Whatever happened before: no process and no folder afterwards."""
        if self.pid and self.is_running():
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    # --- its commands

    def ropewalk(self, *arguments: str) -> str:
        return self.succeed(["ropewalk", *arguments])

    def kubectl(self, *arguments: str, stdin: str = "", namespace: str = "") -> str:
        """What kubectl prints. Its failure fails the test with its words."""
        return self.succeed(self._kubectl(arguments, namespace), stdin=stdin)

    def try_kubectl(self, *arguments: str, stdin: str = "", namespace: str = "") -> Done:
        return self.run(self._kubectl(arguments, namespace), stdin=stdin)

    @contextmanager
    def running_kubectl(self, *arguments: str, namespace: str = "") -> Iterator[subprocess.Popen[str]]:
        """One that goes on until the block ends: a watch, a proxy, a port-forward."""
        command = self._kubectl(arguments, namespace)
        with subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    @staticmethod
    def _kubectl(arguments: tuple[str, ...], namespace: str) -> list[str]:
        return ["kubectl", *(["--namespace", namespace] if namespace else []), *arguments]

    def run(
        self,
        command: list[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        seconds: float = SECONDS,
    ) -> Done:
        return subprocess.run(
            [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]],
            env={**self.environment, **(environment or {})},
            cwd=folder or self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def succeed(self, command: list[str], **options: Any) -> str:
        done = self.run(command, **options)
        if done.returncode != 0:
            said = f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
            raise AssertionError(f"{said}\nThe server's log ends:\n{self.log(1500)}")
        return done.stdout

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request as its administrator, for what a test needs and does not show: a tenth of kubectl's cost."""
        keys = self.folder / "pki"
        context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        context.load_cert_chain(str(keys / "admin.crt"), str(keys / "admin.key"))
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        with urllib.request.urlopen(request, context=context, timeout=SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    # --- what it says

    def log(self, last: int | None = None) -> str:
        try:
            text = (self.folder / "log" / "kube.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return text if last is None else text[-last:]


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace of one test's own."""

    cluster: Cluster
    name: str
    folder: Path
    """Scratch, for manifests."""

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl here."""
        return self.cluster.kubectl(*arguments, stdin=stdin, namespace=self.name)

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says when it is told no."""
        done = self.attempt(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} should have failed: {done.stdout}{done.stderr}"
        return done.stderr + done.stdout

    def attempt(self, *arguments: str, stdin: str = "") -> Done:
        return self.cluster.try_kubectl(*arguments, stdin=stdin, namespace=self.name)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", kind, name, "--output", "json"))
        return found

    def apply(self, *objects: Mapping[str, Any], options: tuple[str, ...] = ()) -> str:
        return self("apply", "--filename", "-", *options, stdin=manifest(*objects))

    def create(self, *objects: Mapping[str, Any]) -> str:
        return self("create", "--filename", "-", stdin=manifest(*objects))

    def names(self, kind: str, *options: str) -> list[str]:
        return self("get", kind, "--output", "name", *options).split()

    def wait(self, kind_and_name: str, condition: str, seconds: float = 15) -> str:
        return self("wait", kind_and_name, f"--for={condition}", f"--timeout={seconds}s")

    def file(self, name: str, *objects: Mapping[str, Any]) -> Path:
        """A manifest as a file."""
        path = self.folder / name
        path.write_text(manifest(*objects))
        return path


def manifest(*objects: Mapping[str, Any]) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False)


def config_map(name: str, labels: Mapping[str, str] | None = None, **data: str) -> dict[str, Any]:
    about = {"name": name, **({"labels": dict(labels)} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}


def pod(name: str, *command: str, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod of one container, which goes on until it is stopped unless its command says otherwise."""
    container: dict[str, Any] = {"name": "main", "image": "busybox:1.36"}
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def deployment(name: str, image: str = "nginx:1.27", replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def definition(plural: str, kind: str, group: str, schema: Mapping[str, Any], **version: Any) -> dict[str, Any]:
    """A CustomResourceDefinition of one version, v1; `schema`: the properties of its objects."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": dict(schema)}},
                    **version,
                }
            ],
        },
    }
