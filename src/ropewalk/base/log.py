"""Logging: one line an event, `key=value` after the message, on standard error.

`logger(__name__)` at the top of a module; a message is a constant phrase and what varies goes into keywords, so that
lines of one kind can be counted: `log.info("agent connected", machine=machine_id)`.
"""

from __future__ import annotations

import logging
import sys


class Logger:
    """A thin view on the standard library's logger with keyword fields."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, /, **fields: object) -> None:
        self._emit(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self._emit(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self._emit(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        self._emit(logging.ERROR, message, fields)

    def bug(self, message: str, /, **fields: object) -> None:
        """Report the exception being handled with its traceback: something nobody foresaw."""
        self._emit(logging.ERROR, message, fields, exc_info=True)

    def _emit(self, level: int, message: str, fields: dict[str, object], exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            text = message + "".join(f" {name}={value}" for name, value in fields.items())
            self._logger.log(level, "%s", text, exc_info=exc_info)


def logger(name: str) -> Logger:
    return Logger(name)


def configure(level: str = "INFO") -> None:
    """Send every logger's lines to standard error. Called once, by a process's entry point."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
