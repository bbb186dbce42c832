"""A containerd of our own: its configuration, its start and adoption, its end.

It has its own root, state, socket, CNI folder and registry settings under the home, so that it shares nothing with a
containerd or Docker that the machine already runs. It lives in a session of its own: killing any process of ours leaves
it and its containers running, and the next start adopts it by pid and start time.

`configuration` and `hosts_files` are pure. Facts from the spikes: a root without CAP_SYS_RESOURCE needs
`restrict_oom_score_adj` and `oom_score = 0`; a `_default` mirror keeps every registry look-up on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Fault
from ropewalk.daemon.images import PAUSE_IMAGE
from ropewalk.daemon.parts import Command
from ropewalk.daemon.processes import DetachedProcess, ProcessRecord
from ropewalk.node.cri import adjust, lowering, plugin
from ropewalk.node.runtime import RuntimeUnavailable

_POLL = 0.02
_SHIM_SOCKETS = Path("/run/containerd/s")
"""Where every containerd's shims listen, whatever its state folder; names are hashes of its own socket's path."""
UNUSED_PLUGINS = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one containerd keeps its things."""

    folder: Path
    """What must survive a reboot."""
    state: Path
    """What a reboot may take: its socket, its state."""

    @property
    def socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def cni_calls(self) -> Path:
        """Where the machine agent waits for the CNI plug-in."""
        return self.state / "cni"

    @property
    def agent_state(self) -> Path:
        """The runtime adapter's own files: hosts files, attachments."""
        return self.state / "agent"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def wrapper(self) -> Path:
        """The OCI wrapper for what CRI cannot say."""
        return self.folder / "runc-adjusted"

    @property
    def cni(self) -> Path:
        return self.folder / "cni"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Which registries the local one stands in for."""

    address: str
    """host:port of the local registry, spoken to over plain HTTP."""
    everything: bool = False
    """True: for all of them, and nothing is looked up elsewhere. False: it is only itself."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A runtime handler of the configuration."""

    name: str
    binary: str


def configuration(layout: Layout, handlers: tuple[Handler, ...], snapshotter: str = "overlayfs") -> str:
    """containerd's config.toml (version 2, which containerd 1.6 to 2 read)."""

    def quote(value: object) -> str:
        return json.dumps(value if isinstance(value, (list, tuple)) else str(value))

    cri = 'plugins."io.containerd.grpc.v1.cri"'
    lines = [
        "version = 2",
        f"root = {quote(layout.folder / 'root')}",
        f"state = {quote(layout.state / 'state')}",
        f"disabled_plugins = {quote(UNUSED_PLUGINS)}",
        "oom_score = 0",
        "[grpc]",
        f"address = {quote(layout.socket)}",
        "[ttrpc]",
        f"address = {quote(layout.socket.with_suffix('.ttrpc'))}",
        '[plugins."io.containerd.internal.v1.opt"]',
        f"path = {quote(layout.folder / 'opt')}",
        f"[{cri}]",
        f"sandbox_image = {quote(PAUSE_IMAGE)}",
        'stream_server_address = "127.0.0.1"',
        'stream_server_port = "0"',
        "restrict_oom_score_adj = true",
        "netns_mounts_under_state_dir = true",
        f"[{cri}.cni]",
        f"bin_dir = {quote(layout.cni / 'bin')}",
        f"conf_dir = {quote(layout.cni / 'conf')}",
        "max_conf_num = 1",
        f"[{cri}.registry]",
        f"config_path = {quote(layout.hosts)}",
        f"[{cri}.containerd]",
        f"snapshotter = {quote(snapshotter)}",
        f"default_runtime_name = {quote(handlers[0].name)}",
    ]
    for handler in handlers:
        lines += [
            f"[{cri}.containerd.runtimes.{handler.name}]",
            'runtime_type = "io.containerd.runc.v2"',
            f"container_annotations = {quote(['ropewalk/*'])}",
            f"[{cri}.containerd.runtimes.{handler.name}.options]",
            f"BinaryName = {quote(handler.binary)}",
            f"Root = {quote(layout.state / handler.name)}",
        ]
    return "\n".join(lines) + "\n"


def hosts_files(mirror: Mirror | None) -> Mapping[str, str]:
    """Registry settings: path below `config_path` → content."""
    if mirror is None:
        return {}
    content = (
        f'server = "http://{mirror.address}"\n[host."http://{mirror.address}"]\n  capabilities = ["pull", "resolve"]\n'
    )
    names = [mirror.address, *(("_default", "docker.io") if mirror.everything else ())]
    return {f"{name}/hosts.toml": content for name in names}


class Containerd:
    """One containerd: started or adopted by `start`, ended by `stop`."""

    def __init__(
        self,
        layout: Layout,
        parts: Mapping[str, Command],
        run: Path,
        logs: Path,
        clock: Clock,
        *,
        interpreter: str | None = None,
        name: str = "containerd",
    ) -> None:
        """`parts`: containerd, its shim, runc and ctr. `interpreter`: the Python that runs the OCI wrapper."""
        self.layout = layout
        self._parts = parts
        self._clock = clock
        self._interpreter = interpreter or os.path.realpath(sys.executable)
        self.process = DetachedProcess(name, run, logs)

    def write_configuration(self, mirror: Mirror | None) -> None:
        """Write every file containerd reads. Registry settings take effect at once, the rest at its next start."""
        layout = self.layout
        files = {
            layout.config: configuration(layout, self._handlers()),
            layout.cni / "conf" / "10-ropewalk.conflist": plugin.configuration(),
        }
        wanted = {layout.hosts / name: content for name, content in hosts_files(mirror).items()}
        for stale in set(layout.hosts.glob("*/hosts.toml")) - set(wanted):
            stale.unlink()
        for path, content in {**files, **wanted}.items():
            _write(path, content, 0o644)
        _write(layout.cni / "bin" / plugin.PLUGIN, plugin.source(str(layout.cni_calls)), 0o755)
        _write(layout.wrapper, adjust.source(self._interpreter, self._parts["runc"].path), 0o755)
        _write(layout.cni / "bin" / "loopback", plugin.LOOPBACK, 0o755)
        layout.hosts.mkdir(parents=True, exist_ok=True)
        layout.agent_state.mkdir(parents=True, exist_ok=True)

    async def start(self, mirror: Mirror | None, deadline: float = 30.0) -> None:
        """Start it, or adopt the one that runs; returns once CRI answers and the sandbox image may be imported."""
        self.write_configuration(mirror)
        self.launch()
        await self._ready(deadline)

    def launch(self) -> ProcessRecord:
        """Start it over the configuration that was written last, or answer the one that runs."""
        self.layout.state.mkdir(parents=True, exist_ok=True)
        command = self._parts["containerd"]
        return self.process.start([*command.argv, "--config", str(self.layout.config)], self._environment())

    async def import_image(self, archive: Path, reference: str) -> None:
        """Put an archive's image into containerd's store, unless it is there; returns once CRI can use it."""
        from ropewalk.node.cri.client import Client

        client = Client(str(self.layout.socket))
        try:
            if (await client.image_status(reference)).HasField("image"):
                return
            ctr = self._parts["ctr"]
            arguments = [
                "--address",
                str(self.layout.socket),
                "--namespace",
                "k8s.io",
                "images",
                "import",
                str(archive),
            ]
            process = await asyncio.create_subprocess_exec(
                *ctr.argv,
                *arguments,
                env=ctr.merged(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            if process.returncode != 0:
                raise Fault("ImportFailed", f"ctr could not import {archive}: {output.decode(errors='replace')}")
            until = self._clock.monotonic() + 10
            while not (await client.image_status(reference)).HasField("image"):
                if self._clock.monotonic() > until:
                    raise Fault("ImportFailed", f"{archive} holds no image {reference}: delete it and start again")
                await self._clock.sleep(_POLL)
        finally:
            await client.close()

    async def stop(self) -> None:
        """End it. Containers that are left stay alive: end them first (`containers.end_containers`)."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self.process.stop()
        self._end_strays()
        with contextlib.suppress(OSError):  # kept where another containerd uses it
            _SHIM_SOCKETS.rmdir()
            _SHIM_SOCKETS.parent.rmdir()
        self._unmount()

    def _end_strays(self) -> None:
        """Kill shims that containerd started and, killed itself in that moment, never wrote down."""
        ours = f"\0-address\0{self.layout.socket}\0".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    if b"containerd-shim" in command.split(b"\0", 1)[0] and ours in command:
                        os.kill(int(entry.name), signal.SIGKILL)

    def _unmount(self) -> None:
        """Lazily unmount what a crash in the middle of a start left mounted below our folders."""
        below = (str(self.layout.state), str(self.layout.folder))
        targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for target in sorted((one for one in targets if one.startswith(below)), reverse=True):
            subprocess.run(["umount", "--lazy", target], check=False, stdin=subprocess.DEVNULL)

    async def _ready(self, deadline: float) -> None:
        from ropewalk.node.cri.client import CallFailed, Client

        client = Client(str(self.layout.socket))
        until = self._clock.monotonic() + deadline
        try:
            while True:
                try:
                    await client.version(timeout=1.0)
                    return
                except (RuntimeUnavailable, CallFailed) as failure:
                    if self.process.record() is None or self._clock.monotonic() > until:
                        raise Fault(
                            "ContainerdFailed", f"containerd did not start ({failure}):\n{self.process.tail(10)}"
                        ) from failure
                await self._clock.sleep(_POLL)
        finally:
            await client.close()

    def _handlers(self) -> tuple[Handler, ...]:
        return Handler(lowering.PLAIN, self._parts["runc"].path), Handler(lowering.ADJUSTED, str(self.layout.wrapper))

    def _environment(self) -> dict[str, str]:
        """containerd finds its shim on PATH; runc inherits the libraries it needs through the shim."""
        environment = self._parts["containerd"].merged()
        for part in ("containerd-shim-runc-v2", "runc"):
            folder = str(Path(self._parts[part].path).parent)
            environment["PATH"] = f"{folder}{os.pathsep}{environment.get('PATH', '')}"
            environment.update(self._parts[part].environment)
        return environment


def _write(path: Path, content: str, mode: int) -> None:
    """Whole or not at all, and only where it differs."""
    with contextlib.suppress(OSError):
        if path.read_text() == content and path.stat().st_mode & 0o777 == mode:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(content)
    scratch.chmod(mode)
    scratch.replace(path)
