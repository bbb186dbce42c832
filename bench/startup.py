"""From the command to the first answer, and what an idle control plane weighs. Simulated mode: no containers."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import Row, median_ms
from bench.signed import signed_request

title = "ropewalk up --simulated, to the first describe-clusters"
_ROUNDS = 5
_BIN = Path(sys.executable).parent


def resident_mb(pid: int) -> float:
    """Proportional set size: what the process adds to the machine."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _first_answer(port: int, home: Path, deadline: float) -> None:
    """Poll as a client would, from before the key exists until the answer is right."""
    while time.monotonic() < deadline:
        try:
            key = json.loads((home / "client.json").read_bytes())
            request = signed_request(port, key, "ecs", "DescribeClusters", b"{}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("POST", "/", request.body, dict(request.headers))
            answer = connection.getresponse()
            if answer.status == 200 and b'"clusterName":"default"' in answer.read():
                return
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(0.002)
    raise SystemExit("no answer in time")


def run() -> list[Row]:
    first, idle = [], []
    for number in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="rw-bench-") as folder:
            environment = {**os.environ, "ROPEWALK_HOME": folder}
            port = 4570 + number
            begun = time.perf_counter()
            command = subprocess.Popen(
                [str(_BIN / "ropewalk"), "up", "--simulated", "--detach", "--port", str(port)],
                env=environment,
                stderr=subprocess.DEVNULL,
            )
            try:
                _first_answer(port, Path(folder), time.monotonic() + 20)
                first.append(time.perf_counter() - begun)
                command.wait()
                pid = int(json.loads((Path(folder) / "run" / "aws.pid").read_bytes())["pid"])
                time.sleep(1.0)
                idle.append(resident_mb(pid))
            finally:
                subprocess.run(
                    [str(_BIN / "ropewalk"), "down", "--force"], env=environment, check=False, capture_output=True
                )
    return [
        Row("command to first answer (median)", f"{median_ms(first):.0f} ms", wanted="≤ 500 ms"),
        Row("idle memory (largest)", f"{max(idle):.0f} MB", wanted="< 80 MB"),
    ]
