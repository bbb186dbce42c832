"""What keeps a pod from being lowered."""

from __future__ import annotations


class Refused(Exception):
    """A pod that cannot be run as it is described; it waits, and this is why."""

    def __init__(self, container: str, message: str) -> None:
        super().__init__(message)
        self.container = container
        """"": a matter of the pod as a whole."""
        self.message = message
