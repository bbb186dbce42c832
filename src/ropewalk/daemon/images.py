"""The images Ropewalk builds itself, out of the distribution's packages: for machines that reach no registry.

`nginx` and `busybox` stand in for Docker Hub's where that cannot be reached (nginx is the distribution's own build with
the official image's ways: access log on standard output, `nginx -g 'daemon off;'`, SIGQUIT to stop); `pause` is what
holds a sandbox open, everywhere. A built image is kept as an archive under the recipe's fingerprint and never built
twice.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ropewalk.base.errors import Fault
from ropewalk.daemon.oci import Entry, Image, ImageSettings, RegistryClient, build, read_archive, write_archive
from ropewalk.daemon.parts import Parts, libraries, no_progress
from ropewalk.daemon.parts import Progress as Progress

PAUSE_IMAGE = "localhost/ropewalk/pause:1"
"""Imported into containerd, never pulled."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/log", "var/tmp")

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nginx:x:101:101:nginx:/nonexistent:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = b"root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnginx:x:101:\nnogroup:x:65534:\n"

NGINX_CONFIG = b"""user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log /var/log/nginx/access.log main;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""
NGINX_SITE = b"""server {
    listen 80;
    listen [::]:80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a recipe may draw on."""

    root: Path
    """The recipe's packages with their libraries, unpacked."""
    busybox: bytes
    catatonit: bytes
    applets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    name: str
    """Repository and tag in the local registry, or the full reference of one that is only imported."""
    packages: tuple[str, ...]
    settings: ImageSettings
    entries: Callable[[Sources], Iterator[Entry]]
    revision: int = 1
    """Raise it when `entries` changes."""

    @property
    def fingerprint(self) -> str:
        text = repr((self.name, self.packages, self.settings, self.revision))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def repository(self) -> str:
        return self.name.rsplit(":", 1)[0]

    @property
    def tag(self) -> str:
        return self.name.rsplit(":", 1)[1]


def _base(sources: Sources) -> Iterator[Entry]:
    """Folders, users and busybox under all its names."""
    yield from (Entry(path, mode=0o1777 if path.endswith("tmp") else 0o755, folder=True) for path in FOLDERS)
    yield Entry("bin", mode=0o755, folder=True)
    yield Entry("bin/busybox", sources.busybox, 0o755)
    yield from (Entry(f"bin/{name}", link="busybox") for name in sources.applets if name != "busybox")
    yield Entry("etc/passwd", PASSWD)
    yield Entry("etc/group", GROUP)
    yield Entry("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")


def _shared_libraries(root: Path) -> Iterator[Entry]:
    """Every shared library at the top of a library folder, and the program loader; no plug-ins, no gconv."""
    if (root / "usr/lib64").exists() and not (root / "lib64").exists():  # a release whose packages are merged into usr
        yield Entry("lib", link="usr/lib")
        yield Entry("lib64", link="usr/lib64")
    for folder in sorted({path.parent for path in root.rglob("*.so*")}):
        relative = folder.relative_to(root).as_posix()
        if relative.count("/") > (2 if relative.startswith("usr/") else 1) or not relative.startswith(
            ("lib", "usr/lib")
        ):
            continue
        for path in sorted(folder.glob("*.so*")):
            where = f"{relative}/{path.name}"
            if path.is_symlink():
                yield Entry(where, link=os.readlink(path))
            else:
                yield Entry(where, path.read_bytes(), 0o755)


def pause_entries(sources: Sources) -> Iterator[Entry]:
    yield Entry("catatonit", sources.catatonit, 0o755)


def nginx_entries(sources: Sources) -> Iterator[Entry]:
    yield from _base(sources)
    yield from _shared_libraries(sources.root)
    yield Entry("usr/sbin/nginx", (sources.root / "usr/sbin/nginx").read_bytes(), 0o755)
    yield Entry("etc/nginx/mime.types", (sources.root / "etc/nginx/mime.types").read_bytes())
    yield Entry("etc/nginx/nginx.conf", NGINX_CONFIG)
    yield Entry("etc/nginx/conf.d/default.conf", NGINX_SITE)
    yield Entry("usr/share/nginx/html/index.html", (sources.root / "usr/share/nginx/html/index.html").read_bytes())
    yield Entry("var/log/nginx/access.log", link="/dev/stdout")
    yield Entry("var/log/nginx/error.log", link="/dev/stderr")
    for name in ("body", "fastcgi", "proxy", "scgi", "uwsgi"):
        yield Entry(f"var/lib/nginx/{name}", mode=0o777, folder=True)


RECIPES: Mapping[str, ImageRecipe] = {
    "pause": ImageRecipe(PAUSE_IMAGE, (), ImageSettings(entrypoint=("/catatonit", "-P")), pause_entries),
    "busybox": ImageRecipe("library/busybox:latest", (), ImageSettings(command=("sh",)), _base),
    "nginx": ImageRecipe(
        "library/nginx:latest",
        ("nginx", "nginx-common"),
        ImageSettings(
            command=("nginx", "-g", "daemon off;"),
            exposed_ports=("80/tcp",),
            stop_signal="SIGQUIT",
            labels={"maintainer": "built by Ropewalk from the distribution's nginx package"},
        ),
        nginx_entries,
        revision=2,
    ),
}


class ImageBuilder:
    """Builds recipes into archives under one folder. Blocking; `nginx` takes a few seconds the first time."""

    def __init__(self, folder: Path, parts: Parts, progress: Progress = no_progress) -> None:
        self._folder = folder
        self._parts = parts
        self._progress = progress

    def archive(self, name: str) -> Path:
        """Path of the recipe's archive, built if it is not there."""
        recipe = RECIPES[name]
        path = self._folder / f"{name}-{recipe.fingerprint}.tar"
        if not path.exists():
            self._progress(f"building image {name}", 0, 1)
            self._folder.mkdir(parents=True, exist_ok=True)
            write_archive(self._build(recipe), recipe.name, path)
            self._progress(f"image {name} is here", 1, 1)
        return path

    def push(self, registry: RegistryClient, names: Sequence[str] = ("busybox", "nginx")) -> None:
        """Make sure the registry has them."""
        for name in names:
            recipe = RECIPES[name]
            registry.push(read_archive(self.archive(name)), recipe.repository, recipe.tag)

    def _build(self, recipe: ImageRecipe) -> Image:
        machine = platform.machine()
        if machine not in ARCHITECTURES:
            raise Fault("UnknownArchitecture", f"images cannot be built for {machine}; set a registry mirror instead")
        here = self._parts.provide(("busybox", "catatonit"))
        scratch = self._folder / f".{recipe.tag}-{os.getpid()}"
        try:
            if recipe.packages:
                dependencies = self._parts.dependencies(recipe.packages)
                needed = [name for package in recipe.packages for name in libraries(dependencies, package)]
                self._parts.fetch(list(dict.fromkeys([*recipe.packages, *needed])), scratch)
            sources = Sources(
                scratch,
                Path(here["busybox"].path).read_bytes(),
                Path(here["catatonit"].path).read_bytes(),
                self._parts.words(here["busybox"], "--list"),
            )
            return build(recipe.entries(sources), recipe.settings, ARCHITECTURES[machine])
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
