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
            # Not `Logger.log`: it walks the stack for a file and line that no line shows, at twice the cost.
            error = sys.exc_info() if exc_info else None
            self._logger.handle(self._logger.makeRecord(self._logger.name, level, "", 0, text, (), error))


def logger(name: str) -> Logger:
    return Logger(name)


class _Formatter(logging.Formatter):
    """Spells each second once: a busy control plane writes thousands of lines in it."""

    _second = -1
    _spelled = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        second = int(record.created)
        if second != self._second:
            self._second, self._spelled = second, super().formatTime(record, "%Y-%m-%d %H:%M:%S")
        return f"{self._spelled},{int(record.msecs):03d}"


def configure(level: str = "INFO") -> None:
    """Send every logger's lines to standard error. Called once, by a process's entry point."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)
