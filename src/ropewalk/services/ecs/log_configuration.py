"""logConfiguration: which drivers and options a definition may name.

Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html and using_awslogs.html. Container
output goes from the runtime's files to the Logs service in the agent's own time, so a container never waits for its log
and no line is dropped: that is `mode=non-blocking` without its loss, and `max-buffer-size` has nothing to bound beyond
the file. `mode=blocking` would be untrue, and is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ropewalk.services.ecs.faults import client, not_yet

FARGATE_DRIVERS: Final = ("awslogs", "splunk", "awsfirelens")
_REQUIRED = ("awslogs-group", "awslogs-region")
_HONOURED = frozenset(
    {"awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group", "mode", "max-buffer-size"}
)
_LATER = frozenset({"awslogs-datetime-format", "awslogs-multiline-pattern", "awslogs-force-flush-interval-seconds"})
_SIZE = re.compile(r"\d+[bkmg]?\Z", re.IGNORECASE)


def check(container: str, configuration: dict[str, Any], region: str) -> None:
    """Raises ClientException for what ECS refuses and for what this platform cannot do yet."""
    driver = configuration["logDriver"]
    if configuration.get("secretOptions"):
        raise not_yet(f"Container '{container}'", "logConfiguration.secretOptions", "Remove it.")
    options: dict[str, str] = configuration.get("options") or {}
    if driver == "awslogs":
        _check_awslogs(container, options, region)
    elif driver == "json-file":
        if options:
            raise not_yet(f"Container '{container}'", "logConfiguration.options of json-file", "Leave the options out.")
    else:
        raise not_yet(
            f"Container '{container}'",
            f"logDriver={driver}",
            "Use awslogs, or leave logConfiguration out.",
        )


def _check_awslogs(container: str, options: dict[str, str], region: str) -> None:
    missing = [name for name in _REQUIRED if not options.get(name)]
    if missing:
        raise client(f"Log driver awslogs requires options: {', '.join(missing)}")
    for name in options:
        if name in _LATER:
            raise not_yet(f"Container '{container}'", f"log option {name}", "Remove the option.")
        if name not in _HONOURED:
            raise client(f"Log driver awslogs disallows options: {name}")
    if options["awslogs-region"] != region:
        raise not_yet(
            f"Container '{container}'",
            f"awslogs-region={options['awslogs-region']}",
            f"This installation is region {region}.",
        )
    if options.get("awslogs-create-group", "true") not in ("true", "false"):
        raise client("Log driver awslogs option awslogs-create-group must be 'true' or 'false'.")
    mode = options.get("mode", "non-blocking")
    if mode == "blocking":
        raise not_yet(f"Container '{container}'", "log option mode=blocking", "Use mode=non-blocking.")
    if mode != "non-blocking":
        raise client("Log driver option mode must be 'blocking' or 'non-blocking'.")
    if "max-buffer-size" in options and not _SIZE.match(options["max-buffer-size"]):
        raise client(f"Log driver option max-buffer-size is invalid: {options['max-buffer-size']}")
