"""URLs that are no resource: discovery, OpenAPI, health, version, metrics, keys. Found by path, or by its beginning."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery.http.exchange import Exchange

Page = Callable[[Exchange], Awaitable[Response]]


class Pages:
    def __init__(self) -> None:
        self._exact: dict[str, Page] = {}
        self._under: list[tuple[str, Page]] = []

    def add(self, path: str, page: Page) -> None:
        """Answer this path, with or without a slash at its end."""
        self._exact[path.rstrip("/") or "/"] = page

    def add_under(self, prefix: str, page: Page) -> None:
        """Answer every path that begins so and that nobody else answers."""
        self._under.append((prefix, page))

    @property
    def paths(self) -> list[str]:
        """For the index at `/`."""
        return sorted(self._exact)

    def find(self, path: str) -> Page | None:
        page = self._exact.get(path.rstrip("/") or "/")
        if page is not None:
            return page
        return next((found for prefix, found in self._under if path.startswith(prefix)), None)
