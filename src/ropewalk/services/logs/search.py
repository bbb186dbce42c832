"""Searching a group: FilterLogEvents, over all streams or some, page by page, in order of time."""

from __future__ import annotations

from zlib import crc32

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.services.logs.events import RESPONSE_BYTES, time_range
from ropewalk.services.logs.journal import FIRST, LAST, LogEvent, Place, Query
from ropewalk.services.logs.patterns import BadPattern, compile_pattern
from ropewalk.services.logs.slice import ON_GROUP, Logs, bad, group_of, no_stream, open_token, operations, seal_token

LOOKED_AT = 50_000
"""Events sifted for one page: where few match, a page may be empty and still lead on, as AWS's may."""


@operations.operation("FilterLogEvents", resources=ON_GROUP)
async def filter_log_events(logs: Logs, call: Call, params: Params) -> Params:
    group = await group_of(logs, params)
    names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
    if names and prefix:
        raise bad("Cannot specify both logStreamNames and logStreamNamePrefix in the same request.")
    try:
        matches = compile_pattern(params.get("filterPattern") or "")
    except BadPattern as error:
        raise bad(str(error)) from error
    backward = params.get("startFromHead") is False
    place = LAST if backward else FIRST
    asked = _digest(params)
    if token := params.get("nextToken"):
        backward, timestamp, identifier, made_for = open_token(token, tuple[bool, int, int, int])
        place = Place(timestamp, identifier)
        if made_for != asked or not FIRST <= place <= LAST or not 0 <= identifier <= LAST.timestamp:
            raise bad("The specified nextToken is invalid.")
    for name in names or ():
        if await logs.journal.stream(group.uid, name) is None:
            raise no_stream()
    start, end = time_range(logs, group, params)
    scan = await logs.journal.search(
        Query(
            group=group.uid,
            start=start,
            end=end,
            after=place,
            limit=int(params.get("limit") or 10_000),
            bytes=RESPONSE_BYTES,
            backward=backward,
            streams=frozenset(names) if names else None,
            prefix=prefix or "",
            matches=matches,
            budget=LOOKED_AT,
        )
    )
    answer: Params = {"events": [_shown(event) for event in scan.events], "searchedLogStreams": []}
    if scan.reached is not None:
        answer["nextToken"] = seal_token(backward, scan.reached.timestamp, scan.reached.id, asked)
    return answer


def _digest(params: Params) -> int:
    """Of what a search is for: a token is good for the same search only."""
    members = ("logGroupName", "logGroupIdentifier", "logStreamNames", "logStreamNamePrefix", "filterPattern")
    return crc32(msgspec.json.encode([params.get(member) for member in members]))


def _shown(event: LogEvent) -> Params:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": f"{event.timestamp:020d}{event.id:036d}",
    }
