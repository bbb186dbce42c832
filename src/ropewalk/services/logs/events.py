"""Log events: put into a stream, and read from one.

Reading goes by tokens: each stands between two events of the stream, and at either end the same token comes back, which
is how a reader knows that there is nothing more (yet).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from ropewalk.aws.operations import Call, Params
from ropewalk.services.logs.journal import EVENT_OVERHEAD, FIRST, LAST, LogEvent, Place, Query, StreamMissing
from ropewalk.services.logs.slice import (
    DAY,
    ON_GROUP,
    LogGroup,
    Logs,
    bad,
    group_called,
    group_of,
    no_stream,
    operations,
)
from ropewalk.services.logs.streams import SEQUENCE_TOKEN

BATCH_BYTES = 1_048_576
EVENT_BYTES = 1_048_576
RESPONSE_BYTES = 1_048_576
TOO_NEW = 2 * 3_600_000
TOO_OLD = 14 * DAY


def admissible(logs: Logs, group: LogGroup, timestamps: Sequence[int]) -> tuple[int, int, Params]:
    """(first, end) of what may be taken of events in chronological order, and what to say of the rest."""
    now = logs.now()
    expired = sum(timestamp < logs.oldest_kept(group) for timestamp in timestamps)
    old = sum(timestamp < now - TOO_OLD for timestamp in timestamps)
    end = len(timestamps) - sum(timestamp > now + TOO_NEW for timestamp in timestamps)
    rejected: Params = {}
    if end < len(timestamps):
        rejected["tooNewLogEventStartIndex"] = end
    if old:
        rejected["tooOldLogEventEndIndex"] = old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    return max(old, expired), end, rejected


@operations.operation("PutLogEvents", resources=ON_GROUP)
async def put_log_events(logs: Logs, call: Call, params: Params) -> Params:
    events = [(event["timestamp"], event["message"]) for event in params["logEvents"]]
    timestamps = [timestamp for timestamp, _ in events]
    _check_batch(events, timestamps)
    group = await group_called(logs, params["logGroupName"])
    first, end, rejected = admissible(logs, group, timestamps)
    try:
        await logs.journal.append(group.uid, params["logStreamName"], events[first:end], logs.now())
    except StreamMissing as error:
        raise no_stream() from error
    answer: Params = {"nextSequenceToken": SEQUENCE_TOKEN}
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    if params.get("entity"):
        answer["rejectedEntityInfo"] = {"errorType": "UnsupportedLogGroupType"}
    return answer


def _check_batch(events: Sequence[tuple[int, str]], timestamps: Sequence[int]) -> None:
    if any(later < earlier for earlier, later in itertools.pairwise(timestamps)):
        raise bad("Log events in a single PutLogEvents request must be in chronological order.")
    total = 0
    for _, message in events:
        try:
            size = len(message.encode()) + EVENT_OVERHEAD
        except UnicodeEncodeError as error:
            raise bad("A log event's message is not well-formed Unicode.") from error
        if not message:
            raise bad("A log event's message must have at least one character.")
        if size > EVENT_BYTES:
            raise bad(f"Log event too large: {size} bytes exceeds limit of {EVENT_BYTES}")
        total += size
    if total > BATCH_BYTES:
        raise bad(f"Upload too large: {total} bytes exceeds limit of {BATCH_BYTES}")
    if timestamps[-1] - timestamps[0] > DAY:
        raise bad("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")


def time_range(logs: Logs, group: LogGroup, params: Params) -> tuple[int, int]:
    """What a request asks for, within what the group keeps and what a time can be."""
    start, end = params.get("startTime") or 0, params.get("endTime")
    last = LAST.timestamp
    return min(max(start, logs.oldest_kept(group)), last), last if end is None else min(end, last)


_TOKEN = re.compile(r"([fb])/(-?\d{1,20})\.(\d{1,20})/s", re.ASCII)


def _token(way: str, place: Place) -> str:
    return f"{way}/{place.timestamp}.{place.id}/s"


def _open(token: str) -> tuple[bool, Place]:
    """(whether it leads backward, the place it stands at)."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise bad("The specified nextToken is invalid.")
    place = Place(int(found.group(2)), int(found.group(3)))
    if not FIRST <= place <= LAST or place.id > LAST.timestamp:
        raise bad("The specified nextToken is invalid.")
    return found.group(1) == "b", place


@operations.operation("GetLogEvents", resources=ON_GROUP)
async def get_log_events(logs: Logs, call: Call, params: Params) -> Params:
    group = await group_of(logs, params)
    name = params["logStreamName"]
    if await logs.journal.stream(group.uid, name) is None:
        raise no_stream()
    start, end = time_range(logs, group, params)
    if token := params.get("nextToken"):
        backward, place = _open(token)
    else:
        backward = not params.get("startFromHead")
        place = LAST if backward else FIRST
    scan = await logs.journal.search(
        Query(
            group=group.uid,
            start=start,
            end=end - 1,
            after=place,
            limit=int(params.get("limit") or 10_000),
            bytes=RESPONSE_BYTES,
            backward=backward,
            streams=frozenset({name}),
        )
    )
    events = list(reversed(scan.events)) if backward else list(scan.events)
    forward, back = _ends(events, place, backward, token is not None, start)
    return {
        "events": [_shown(event) for event in events],
        "nextForwardToken": _token("f", forward),
        "nextBackwardToken": _token("b", back),
    }


def _ends(events: Sequence[LogEvent], place: Place, backward: bool, given: bool, start: int) -> tuple[Place, Place]:
    """Where the next page forward and the next page backward begin. A forward token stands after an event, a backward
    one before it. Without events both stay where the request stood; a first request of an empty stream stands at its
    beginning, so that what comes later is found.
    """
    if events:
        return events[-1].place, events[0].place
    if not given:
        return FIRST, Place(max(start, 0), 0)
    if backward:
        return Place(place.timestamp, max(place.id - 1, 0)), place
    return place, Place(place.timestamp, place.id + 1)


def _shown(event: LogEvent) -> Params:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}
