"""A command that the nursery runs in our place: it has imported what a command imports, which takes most of one's time.

We send what makes us a command (arguments, environment, folder, the three standard files) and wait for its status.
Needs next to nothing imported, since it is the first that a command does. See `daemon/kube_forks`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

from ropewalk.base import home

FAILED = 1


def is_meant(arguments: list[str]) -> bool:
    """Starting a cluster and coming back: nothing that goes on in the terminal."""
    return arguments[:2] == ["kube", "--standalone"] and "--detach" in arguments and "--help" not in arguments


def socket_path() -> str:
    return os.path.join(home.run_folder(home.default_home()), "kube-nursery.sock")


def run(arguments: list[str]) -> int | None:
    """The command's exit status; None where nobody runs it, and nothing has happened."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(socket_path())
            _send(connection, arguments)
        except OSError:
            return None
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as any command that is told to stop: without a word
        answer = b""
        while part := connection.recv(4096):
            answer += part
    try:
        told = json.loads(answer)
    except ValueError:
        sys.stderr.write("ropewalk: the nursery ended while it ran this. Try again.\n")
        return FAILED
    return None if told.get("refusal") else int(told["status"])


def _send(connection: socket.socket, arguments: list[str]) -> None:
    wanted = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    line = json.dumps(wanted).encode() + b"\n"
    sent = socket.send_fds(connection, [line], [0, 1, 2])
    connection.sendall(line[sent:])
