"""Images through CRI: what is here, what an image says about itself, and pulling with progress."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable

from ropewalk.base.clock import Clock
from ropewalk.node.cri._generated import content_pb2 as content
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri.client import CallFailed, Client
from ropewalk.node.runtime import (
    ImageInfo,
    ImageNotFound,
    Progress,
    PullFailed,
    PullProgress,
    RegistryAuth,
    RuntimeUnavailable,
)

_PROGRESS_PERIOD = 0.25
_ABSENT = ("not found", "pull access denied", "repository does not exist", "manifest unknown", "name unknown")


def describe(reference: str, status: cri.ImageStatusResponse) -> ImageInfo | None:
    """What CRI's verbose image status says; None where it names no image."""
    if not status.HasField("image"):
        return None
    spec = json.loads(status.info.get("info", "{}")).get("imageSpec") or {}
    config = spec.get("config") or {}
    digests = [name.rpartition("@")[2] for name in status.image.repo_digests]
    return ImageInfo(
        reference=reference,
        digest=digests[0] if digests else status.image.id,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment=tuple(config.get("Env") or ()),
        working_directory=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        stop_signal=config.get("StopSignal") or "",
        size_bytes=status.image.size,
    )


class Tally:
    """Adds up downloads as they come and go: one that is no longer listed has ended.

    containerd lists what it fetches for whatever image, so two pulls at once each show the sum of both.
    """

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[int, int]] = {}

    def update(self, downloads: Iterable[content.Status]) -> PullProgress:
        active = {blob.ref: (blob.offset, blob.total) for blob in downloads if blob.ref.startswith("layer-")}
        for ref, (_, total) in self._blobs.items():
            if ref not in active:
                self._blobs[ref] = (total, total)
        self._blobs.update(active)
        sizes = self._blobs.values()
        return PullProgress(sum(done for done, _ in sizes), sum(total for _, total in sizes))


async def look_up(client: Client, reference: str) -> ImageInfo | None:
    try:
        return describe(reference, await client.image_status(reference))
    except CallFailed as failure:
        if "invalid reference" in failure.text or "couldn't parse" in failure.text:
            return None
        raise PullFailed(failure.text) from failure


async def pull(
    client: Client, clock: Clock, reference: str, auth: RegistryAuth | None, progress: Progress | None
) -> ImageInfo:
    """Raises `ImageNotFound` where the registry has no such image or will not show it, else `PullFailed`."""
    credentials = None
    if auth is not None:
        credentials = cri.AuthConfig(username=auth.username, password=auth.password, identity_token=auth.identity_token)
    watcher = asyncio.create_task(_watch(client, clock, progress)) if progress is not None else None
    try:
        await client.pull_image(reference, credentials)
        found = await look_up(client, reference)
    except CallFailed as failure:
        text = failure.text
        if failure.code == "NOT_FOUND" or any(sign in text for sign in _ABSENT):
            raise ImageNotFound(text) from failure
        raise PullFailed(text) from failure
    finally:
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
    if found is None:
        raise PullFailed(f"{reference} was removed while it was pulled")
    if progress is not None:
        progress(PullProgress(found.size_bytes, found.size_bytes))
    return found


async def _watch(client: Client, clock: Clock, progress: Progress) -> None:
    tally = Tally()
    while True:
        await clock.sleep(_PROGRESS_PERIOD)
        with contextlib.suppress(RuntimeUnavailable, CallFailed):
            progress(tally.update(await client.downloads()))
