"""Kubernetes' envelope: four bytes of magic, then a message that names the kind and holds the object's own message.

What is wrong with a body is told here, as a refusal; the modules below raise ValueError, or run past the end.
"""

from __future__ import annotations

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.decoding import Types
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.protobuf import wire
from ropewalk.kube.machinery.protobuf.messages import Messages, Numbers
from ropewalk.kube.machinery.protobuf.values import text
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.structs import Struct

MAGIC = b"k8s\x00"
_SHOWN = 30
"""How many bytes of an unreadable body a message shows."""


class Decoder:
    """`decode` is all; one a server, for it keeps what it has learnt of each definition."""

    def __init__(self, types: Types, numbers: Numbers) -> None:
        self.types = types
        self._messages = Messages(numbers)

    def decode(self, body: bytes, expected: GroupVersionKind | None = None) -> Object:
        """The object, with apiVersion and kind; `decoding.read` brings it into its final form. Raises BadRequest.

        An envelope that names no kind holds the expected one, as for kube-apiserver.
        """
        try:
            api_version, kind, start, end = _envelope(body)
        except (ValueError, IndexError) as error:
            raise _unrecognized(_why(error), body) from None
        if expected is not None:
            api_version, kind = api_version or expected.api_version, kind or expected.kind
        gvk = GroupVersionKind.of(api_version, kind)
        if self.types.knows(gvk):
            schema = self.types.schema(gvk)
        elif expected is not None and kind == expected.kind:  # a version of its own: whoever reads on judges that
            schema = self.types.schema(expected)
        else:
            why = f'no kind "{kind}" is registered for version "{api_version}"' if kind else "Object 'Kind' is missing"
            raise _unrecognized(why, body)
        obj: Object = {"apiVersion": api_version, "kind": kind}
        if isinstance(schema, Struct):
            try:
                self._messages.of(schema).fill(body, start, end, obj, 1)
            except (ValueError, IndexError) as error:
                why = f'{kind} in version "{gvk.version}" cannot be handled as a {kind}: {_why(error)}'
                raise errors.bad_request(why) from None
        return obj


def _envelope(body: bytes) -> tuple[str, str, int, int]:
    """(apiVersion, kind, where the object's message starts and ends)."""
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    start = end = 0
    known = dict.fromkeys((1, 2, 3, 4), wire.BYTES)  # 3 and 4: encoding and type of the content, never used
    for number, at, stop in wire.fields(body, len(MAGIC), len(body), known):
        if number == 1:
            for part, first, last in wire.fields(body, at, stop, {1: wire.BYTES, 2: wire.BYTES}):
                if part == 1:
                    api_version = text(body, first, last)
                else:
                    kind = text(body, first, last)
        elif number == 2:
            start, end = at, stop
    return api_version, kind, start, end


def _why(error: Exception) -> str:
    """Bytes are read without a look at the end of the body: there, and only there, an index is out of range."""
    return wire.EOF if isinstance(error, IndexError) else str(error)


def _unrecognized(why: str, body: bytes) -> errors.StatusFault:
    shown = body[:_SHOWN].hex() + (" ..." if len(body) > _SHOWN else "")
    return errors.bad_request(f"the object provided is unrecognized: {why} ({shown})")
