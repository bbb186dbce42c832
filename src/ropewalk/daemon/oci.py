"""OCI images made by hand: layers, configuration, manifest, and how they reach a registry or an archive.

An image here is a handful of byte strings addressed by their SHA-256, so it needs no tool to build one. Everything is
reproducible: entries are sorted, times are zero, owners are root. Small images only: a layer is held in memory.

Formats: OCI image specification 1.0 (manifest, config, layout) and distribution specification 1.0 (push).
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ropewalk.base.errors import Retryable

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder (`folder=True`) or symbolic link (`link` set) of a layer; paths are without leading slash."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    folder: bool = False


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What an image says about running it."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    working_directory: str = "/"
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blob:
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@dataclass(frozen=True, slots=True)
class Image:
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]


def layer(entries: Iterable[Entry]) -> tuple[Blob, str]:
    """A compressed layer, and the digest of its uncompressed tar."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in sorted(entries, key=lambda entry: entry.path):
            info = tarfile.TarInfo(entry.path)
            info.mode = entry.mode
            if entry.folder:
                info.type = tarfile.DIRTYPE
            elif entry.link:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            else:
                info.size = len(entry.data)
            tar.addfile(info, io.BytesIO(entry.data))
    raw = plain.getvalue()
    return Blob(LAYER_TYPE, gzip.compress(raw, 6, mtime=0)), "sha256:" + hashlib.sha256(raw).hexdigest()


def build(entries: Iterable[Entry], settings: ImageSettings, architecture: str) -> Image:
    """An image of one layer."""
    blob, diff_id = layer(entries)
    members = {
        "Entrypoint": settings.entrypoint,
        "Cmd": settings.command,
        "Env": settings.environment,
        "WorkingDir": settings.working_directory,
        "ExposedPorts": {port: {} for port in settings.exposed_ports},
        "StopSignal": settings.stop_signal,
        "Labels": dict(settings.labels),
    }
    config = {
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": {name: value for name, value in members.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    config_blob = Blob(CONFIG_TYPE, msgspec.json.encode(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config_blob.descriptor(),
        "layers": [blob.descriptor()],
    }
    return Image(Blob(MANIFEST_TYPE, msgspec.json.encode(manifest)), config_blob, (blob,))


def write_archive(image: Image, name: str, path: Path) -> None:
    """An OCI archive (a tar of an image layout) that imports under `name`, a full reference with tag."""
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                **image.manifest.descriptor(),
                "annotations": {
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1],
                },
            }
        ],
    }
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": msgspec.json.encode(index)}
    for blob in (image.manifest, image.config, *image.layers):
        files["blobs/" + blob.digest.replace(":", "/")] = blob.data
    scratch = path.with_name(path.name + ".new")
    with tarfile.open(scratch, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    scratch.replace(path)


def read_archive(path: Path) -> Image:
    """The image of an archive written by `write_archive`."""
    with tarfile.open(path) as tar:

        def member(name: str) -> bytes:
            file = tar.extractfile(name)
            return file.read() if file else b""

        def blob(descriptor: Mapping[str, str]) -> Blob:
            return Blob(descriptor["mediaType"], member("blobs/" + descriptor["digest"].replace(":", "/")))

        manifest = blob(msgspec.json.decode(member("index.json"))["manifests"][0])
        content = msgspec.json.decode(manifest.data)
        return Image(manifest, blob(content["config"]), tuple(blob(one) for one in content["layers"]))


class RegistryClient:
    """Pushes to one registry over plain HTTP (a loopback one: nothing else should be spoken to so). Blocking."""

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        """`address`: host:port."""
        self._address = address
        self._timeout = timeout

    def answers(self) -> bool:
        """Whether a registry listens there and is ready."""
        try:
            return self._ask("GET", "/v2/")[0] in (200, 401)
        except Retryable:
            return False

    def digest(self, repository: str, tag: str) -> str:
        """Digest of a tag's manifest; "" where there is none."""
        status, headers = self._ask("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
        return headers.get("docker-content-digest", "") if status == 200 else ""

    def push(self, image: Image, repository: str, tag: str) -> None:
        """Make the tag name this image; what the registry has is not sent again."""
        if self.digest(repository, tag) == image.manifest.digest:
            return
        for blob in (*image.layers, image.config):
            if self._ask("HEAD", f"/v2/{repository}/blobs/{blob.digest}")[0] != 200:
                self._upload(repository, blob)
        self._expect(
            201, "PUT", f"/v2/{repository}/manifests/{tag}", image.manifest.data, {"Content-Type": MANIFEST_TYPE}
        )

    def _upload(self, repository: str, blob: Blob) -> None:
        location = urlsplit(self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/")["location"])
        query = f"{location.query}&" if location.query else ""
        self._expect(
            201,
            "PUT",
            f"{location.path}?{query}digest={blob.digest}",
            blob.data,
            {"Content-Type": "application/octet-stream"},
        )

    def _expect(
        self, status: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        given, answer = self._ask(method, path, body, headers)
        if given != status:
            raise Retryable(f"the registry at {self._address} answered {given} to {method} {path.partition('?')[0]}")
        return answer

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            raise Retryable(f"the registry at {self._address} does not answer: {error}") from error
        finally:
            connection.close()
