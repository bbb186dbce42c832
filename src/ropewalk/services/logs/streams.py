"""Log streams: the events of one source, in one group."""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params
from ropewalk.services.logs.journal import LAST, Stream
from ropewalk.services.logs.slice import (
    ON_GROUP,
    LogGroup,
    Logs,
    already,
    bad,
    check_stream_name,
    group_called,
    group_of,
    no_stream,
    open_token,
    operations,
    page,
    seal_token,
)

SEQUENCE_TOKEN = "49039859605561844128466014189236070369010537104138244930"
"""AWS ignores sequence tokens since 2023 and still answers one; older clients send back what they were given."""


@operations.operation("CreateLogStream", resources=ON_GROUP)
async def create_log_stream(logs: Logs, call: Call, params: Params) -> Params:
    name = check_stream_name(params["logStreamName"])
    group = await group_called(logs, params["logGroupName"])
    if not await logs.journal.create_stream(group.uid, name, logs.now()):
        raise already("log stream")
    return {}


@operations.operation("DeleteLogStream", resources=ON_GROUP)
async def delete_log_stream(logs: Logs, call: Call, params: Params) -> Params:
    group = await group_called(logs, params["logGroupName"])
    if not await logs.journal.delete_stream(group.uid, params["logStreamName"]):
        raise no_stream()
    return {}


def _shown(group: LogGroup, stream: Stream) -> Params:
    """`storedBytes` of a stream is always 0, as AWS has it since 2019."""
    shown: Params = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        "storedBytes": 0,
        "uploadSequenceToken": SEQUENCE_TOKEN,
    }
    if stream.first is not None:
        shown |= {
            "firstEventTimestamp": stream.first,
            "lastEventTimestamp": stream.last,
            "lastIngestionTime": stream.ingested,
        }
    return shown


@operations.operation("DescribeLogStreams", resources=ON_GROUP)
async def describe_log_streams(logs: Logs, call: Call, params: Params) -> Params:
    group = await group_of(logs, params)
    prefix, descending = params.get("logStreamNamePrefix") or "", bool(params.get("descending"))
    limit = int(params.get("limit") or 50)
    token = params.get("nextToken")
    if params.get("orderBy") == "LastEventTime":
        if prefix:
            raise bad("Cannot order by LastEventTime with a logStreamNamePrefix.")
        place = open_token(token, tuple[int, str]) if token else None
        if place is not None and abs(place[0]) > LAST.timestamp:
            raise bad("The specified nextToken is invalid.")
        streams = await logs.journal.streams_by_time(group.uid, place, limit + 1, descending)
    else:
        after = open_token(token, tuple[int, str])[1] if token else ""
        streams = await logs.journal.streams(group.uid, prefix, after, limit + 1, descending)
    return page(
        streams,
        limit,
        "logStreams",
        lambda stream: _shown(group, stream),
        lambda stream: seal_token(-1 if stream.last is None else stream.last, stream.name),
    )
