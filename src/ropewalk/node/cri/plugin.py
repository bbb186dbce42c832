"""The CNI plug-in's text: what containerd runs for every sandbox, and what hands the call to the agent.

The plug-in imports nothing but C modules, so that it starts in a few milliseconds; it knows nothing, and forwards its
environment and its input to the socket named in its configuration. While the agent is away an ADD asks to be tried
again and a DEL succeeds: the agent collects what was left once it is back (`cni.py`).

Frame to the agent: lines `NAME=value` of the CNI_ variables, an empty line, the configuration, end of file. Frame back:
one digit (the exit code), then what to print. CNI specification 1.0.0.
"""

from __future__ import annotations

import json

NETWORK = "ropewalk"
PLUGIN = "ropewalk-cni"
VERSION = "1.0.0"

_SOURCE = r"""
import posix, _socket
def main():
    environ = posix.environ
    command = environ.get(b"CNI_COMMAND", b"")
    configuration = b""
    while True:
        piece = posix.read(0, 65536)
        if not piece:
            break
        configuration += piece
    if command == b"VERSION":
        posix.write(1, b'{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}')
        return 0
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(120)
        connection.connect(SOCKET)
        head = b"".join(name + b"=" + value + b"\n" for name, value in environ.items() if name.startswith(b"CNI_"))
        connection.sendall(head + b"\n" + configuration)
        connection.shutdown(_socket.SHUT_WR)
        answer = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
        if not answer:
            raise OSError("the agent ended in the middle of the call")
    except OSError as error:
        if command == b"DEL":
            return 0
        posix.write(1, b'{"cniVersion":"1.0.0","code":11,"msg":"the machine agent does not answer; try again"}')
        return 1
    if len(answer) > 1:
        posix.write(1, answer[1:])
    return answer[0] - 48
posix._exit(main())
"""

LOOPBACK = """#!/bin/sh
# The agent brings a sandbox's loopback up together with its interface; this only answers for it.
case "$CNI_COMMAND" in
VERSION) printf '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
ADD) printf '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","sandbox":"%s"}],' "$CNI_NETNS"
     printf '"ips":[{"version":"4","interface":0,"address":"127.0.0.1/8"}]}' ;;
esac
"""


def source(interpreter: str, socket: str) -> str:
    """The plug-in's file: `interpreter` is the absolute path of a Python, `socket` the agent's CNI socket."""
    return f"#!{interpreter} -IS\nSOCKET = {socket.encode()!r}\n{_SOURCE.lstrip()}"


def configuration() -> str:
    """The network configuration list."""
    return json.dumps({"cniVersion": VERSION, "name": NETWORK, "plugins": [{"type": PLUGIN}]}, indent=1)
