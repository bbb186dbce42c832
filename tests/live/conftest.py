"""Each live module has a real installation of its own (a host carries one at a time), and proves that nothing stayed.

They need root and fail without it (deselect them with -m "not live"): a skip would hide that nothing was shown.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.installation import Installation, wait_for_host
from support.traces import traces


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/live/" in str(item.path):
            item.add_marker("live")
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    wait_for_host()
    made = Installation("--images", "local")
    before = traces(made.home)
    try:
        made.up()
        made.client("logs").create_log_group(logGroupName="/ecs/webapp")
        yield made
        made.down()
    finally:
        made.discard()
    left = traces(made.home).news(before)
    assert left == {}, f"left behind: {left}"


@pytest.fixture(scope="module")
def web_group(installation: Installation) -> str:
    return installation.group("web", 80)
