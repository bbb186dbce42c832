"""What CRI cannot say about a container, said to the OCI runtime: a wrapper around runc that edits the bundle.

The wrapper stands as the binary of a runtime handler of its own, used only by workloads that need it. At `create` it
reads our annotations in the bundle's config.json, applies them and runs the real runtime in its place; every other
command goes straight through. It runs without our package, on the bare interpreter.
"""

from __future__ import annotations

RLIMITS = "ropewalk/rlimits"
"""Annotation: JSON list of [name, soft, hard], names as ECS and Docker spell them ("nofile")."""

_SOURCE = r"""
import os, sys
def adjust(bundle):
    import json
    path = os.path.join(bundle, "config.json")
    with open(path) as file:
        spec = json.load(file)
    limits = json.loads((spec.get("annotations") or {}).get("ropewalk/rlimits", "[]"))
    if not limits:
        return
    names = {"RLIMIT_" + name.upper(): (soft, hard) for name, soft, hard in limits}
    kept = [limit for limit in spec["process"].get("rlimits") or [] if limit["type"] not in names]
    unlimited = 2**64 - 1
    spec["process"]["rlimits"] = kept + [
        {"type": name, "soft": unlimited if soft < 0 else soft, "hard": unlimited if hard < 0 else hard}
        for name, (soft, hard) in names.items()
    ]
    with open(path + ".new", "w") as file:
        json.dump(spec, file)
    os.replace(path + ".new", path)
def main():
    arguments = sys.argv[1:]
    if "create" in arguments and "--bundle" in arguments:
        adjust(arguments[arguments.index("--bundle") + 1])
    os.execv(RUNTIME, [RUNTIME, *arguments])
main()
"""


def source(interpreter: str, runtime: str) -> str:
    """The wrapper's file: `interpreter` is the absolute path of a Python, `runtime` of the real OCI runtime."""
    return f"#!{interpreter} -IS\nRUNTIME = {runtime!r}\n{_SOURCE.lstrip()}"
