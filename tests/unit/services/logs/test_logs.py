"""CloudWatch Logs' operations; every answer is held to AWS's own model."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.aws.operations import Call, Principal
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.model.agent import LogBatch, LogLine, LogReceipt
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.services.logs import GroupReader, JournalSink, Logs, MemoryJournal, controllers, operations
from ropewalk.services.logs.retention import Retention
from ropewalk.store.memory import MemoryStore

ACCOUNT = "123456789012"
MODEL = botocore.session.get_session().get_service_model("logs")
HOUR, DAY = 3_600_000, 86_400_000
ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:g"


class Everything:
    async def require(self, *args: Any) -> None:
        return None


class Permissions:
    """Refuses what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.asked: list[tuple[str, str, str, str]] = []

    async def require(self, role_arn: str, session_name: str, action: str, resource: str) -> None:
        self.asked.append((role_arn, session_name, action, resource))
        if action in self.refused:
            raise Fault("AccessDenied", f"User: x is not authorized to perform: {action} on resource: {resource}")


class Harness:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.journal = MemoryJournal()
        store = MemoryStore(SeededEntropy(1))
        self.logs = Logs.over(store, self.journal, self.clock, SeededEntropy(2), "us-east-1", ACCOUNT)
        self.may = Permissions()
        self.sink = JournalSink(self.logs, self.may)

    @property
    def now(self) -> int:
        return self.logs.now()

    async def take(self, batch: LogBatch, role: str | None = "") -> LogReceipt:
        """As an agent's batch arrives; by default from a workload that names no role."""
        return await self.sink.append(batch, role)

    def call(self, operation: str) -> Call:
        return Call(
            service="logs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region="us-east-1",
            principal=Principal("arn", ACCOUNT, "id", "user"),
            now=self.clock.wall(),
            source_ip="127.0.0.1",
            host="h",
            authorizer=Everything(),
        )

    async def __call__(self, operation: str, **params: Any) -> Any:
        answer = await operations.offered[operation].run(self.logs, self.call(operation), params)
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
        else:
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), report.generate_report()
        return answer

    async def refused(self, operation: str, **params: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            await self(operation, **params)
        return caught.value

    async def stream(self, *messages: str, name: str = "s", step: int = 1) -> None:
        """A group `g` with a stream of these messages, ending now."""
        if await self.logs.groups.get("g") is None:
            await self("CreateLogGroup", logGroupName="g")
        await self("CreateLogStream", logGroupName="g", logStreamName=name)
        if messages:
            start = self.now - step * len(messages)
            events = [{"timestamp": start + step * i, "message": text} for i, text in enumerate(messages)]
            await self("PutLogEvents", logGroupName="g", logStreamName=name, logEvents=events)

    async def read(self, **params: Any) -> tuple[list[str], str, str]:
        answer = await self("GetLogEvents", logGroupName="g", logStreamName="s", **params)
        texts = [event["message"] for event in answer["events"]]
        return texts, answer["nextForwardToken"], answer["nextBackwardToken"]

    async def find(self, **params: Any) -> list[str]:
        answer = await self("FilterLogEvents", logGroupName="g", **params)
        return [event["message"] for event in answer["events"]]


@pytest.fixture
def logs() -> Harness:
    return Harness()


def test_every_operation_offered_is_in_awss_model() -> None:
    assert set(operations.offered) <= set(MODEL.operation_names)


async def test_groups(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="/ecs/web", tags={"team": "a"})
    again = await logs.refused("CreateLogGroup", logGroupName="/ecs/web")
    assert (again.code, again.message) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    await logs("CreateLogGroup", logGroupName="other")
    shown = (await logs("DescribeLogGroups", logGroupNamePrefix="/ecs/"))["logGroups"]
    assert [group["logGroupName"] for group in shown] == ["/ecs/web"]
    assert shown[0]["arn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/ecs/web:*"
    assert shown[0]["storedBytes"] == 0 and "retentionInDays" not in shown[0]
    assert len((await logs("DescribeLogGroups", logGroupNamePattern="the"))["logGroups"]) == 1
    first = await logs("DescribeLogGroups", limit=1)
    rest = await logs("DescribeLogGroups", limit=1, nextToken=first["nextToken"])
    assert [g["logGroupName"] for g in first["logGroups"] + rest["logGroups"]] == ["/ecs/web", "other"]
    assert "nextToken" not in rest
    assert (await logs("DescribeLogGroups", accountIdentifiers=["999999999999"]))["logGroups"] == []
    assert len((await logs("DescribeLogGroups", logGroupIdentifiers=[ARN, "other"]))["logGroups"]) == 1
    both = await logs.refused("DescribeLogGroups", logGroupNamePrefix="a", logGroupNamePattern="b")
    assert both.code == "InvalidParameterException"
    assert (await logs.refused("DescribeLogGroups", nextToken="x")).code == "InvalidParameterException"
    await logs("DeleteLogGroup", logGroupName="other")
    assert (await logs.refused("DeleteLogGroup", logGroupName="other")).code == "ResourceNotFoundException"


@pytest.mark.parametrize("params", [{"logGroupName": "a b"}, {"kmsKeyId": "k"}, {"logGroupClass": "INFREQUENT_ACCESS"}])
async def test_what_a_group_cannot_be(logs: Harness, params: dict[str, Any]) -> None:
    refused = await logs.refused("CreateLogGroup", **{"logGroupName": "g", **params})
    assert refused.code == "InvalidParameterException"
    assert (await logs("DescribeLogGroups"))["logGroups"] == []


async def test_a_protected_group_stays(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g", deletionProtectionEnabled=True)
    assert (await logs.refused("DeleteLogGroup", logGroupName="g")).code == "ValidationException"
    await logs("PutLogGroupDeletionProtection", logGroupIdentifier=ARN, deletionProtectionEnabled=False)
    await logs("DeleteLogGroup", logGroupName="g")


async def test_a_group_made_anew_is_empty(logs: Harness) -> None:
    await logs.stream("a")
    await logs("DeleteLogGroup", logGroupName="g")
    await logs("CreateLogGroup", logGroupName="g")
    assert await logs.find() == []
    assert (await logs("DescribeLogStreams", logGroupName="g"))["logStreams"] == []


async def test_other_slices_may_ask_for_a_group(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    reader = GroupReader(logs.logs)
    assert [await reader.log_group_exists(name) for name in ("g", "h", "", "\0", "x" * 9000)] == [True] + [False] * 4


async def test_tags(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g", tags={"a": "1"})
    await logs("TagResource", resourceArn=ARN, tags={"b": "2"})
    await logs("TagLogGroup", logGroupName="g", tags={"c": "3"})
    await logs("UntagResource", resourceArn=f"{ARN}:*", tagKeys=["a"])
    assert (await logs("ListTagsForResource", resourceArn=ARN))["tags"] == {"b": "2", "c": "3"}
    await logs("UntagLogGroup", logGroupName="g", tags=["b"])
    assert (await logs("ListTagsLogGroup", logGroupName="g"))["tags"] == {"c": "3"}
    many = {f"k{i}": "" for i in range(50)}
    assert (await logs.refused("TagResource", resourceArn=ARN, tags=many)).code == "TooManyTagsException"
    assert (await logs.refused("TagResource", resourceArn="g", tags={"a": "b"})).code == "InvalidParameterException"
    missing = await logs.refused("ListTagsForResource", resourceArn=ARN + "x")
    assert missing.code == "ResourceNotFoundException"


async def test_streams(logs: Harness) -> None:
    await logs.stream("old", name="a/1", step=HOUR)
    await logs.stream("new", name="a/2")
    await logs.stream(name="b")
    again = await logs.refused("CreateLogStream", logGroupName="g", logStreamName="b")
    assert again.message == "The specified log stream already exists"
    missing = await logs.refused("CreateLogStream", logGroupName="none", logStreamName="b")
    assert missing.message == "The specified log group does not exist."
    assert (await logs.refused("CreateLogStream", logGroupName="g", logStreamName="a:b")).code.startswith("Invalid")

    async def names(**params: Any) -> list[str]:
        answer = await logs("DescribeLogStreams", logGroupName="g", **params)
        return [stream["logStreamName"] for stream in answer["logStreams"]]

    assert await names() == ["a/1", "a/2", "b"]
    assert await names(logStreamNamePrefix="a/", descending=True) == ["a/2", "a/1"]
    assert await names(orderBy="LastEventTime", descending=True) == ["a/2", "a/1", "b"]
    refused = await logs.refused(
        "DescribeLogStreams", logGroupName="g", logStreamNamePrefix="a", orderBy="LastEventTime"
    )
    assert refused.code == "InvalidParameterException"
    for order in ("LogStreamName", "LastEventTime"):
        seen: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = await logs("DescribeLogStreams", logGroupIdentifier=ARN, limit=1, orderBy=order, **token)
            seen.extend(stream["logStreamName"] for stream in answer["logStreams"])
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        assert seen == await names(orderBy=order)
    shown = (await logs("DescribeLogStreams", logGroupName="g", logStreamNamePrefix="a/2"))["logStreams"][0]
    assert shown["firstEventTimestamp"] == shown["lastEventTimestamp"] == logs.now - 1
    assert shown["arn"] == f"{ARN}:log-stream:a/2"
    await logs("DeleteLogStream", logGroupName="g", logStreamName="b")
    assert (await logs.refused("DeleteLogStream", logGroupName="g", logStreamName="b")).code.startswith("ResourceNot")
    assert (await logs("DescribeLogGroups"))["logGroups"][0]["storedBytes"] == 2 * 29
    both = await logs.refused("DescribeLogStreams", logGroupName="g", logGroupIdentifier=ARN)
    assert both.code == "InvalidParameterException"


async def test_reading_forward_ends_where_the_token_comes_back(logs: Harness) -> None:
    await logs.stream("a", "b", "c")
    texts, forward, _ = await logs.read(startFromHead=True, limit=2)
    assert texts == ["a", "b"]
    texts, forward, _ = await logs.read(startFromHead=True, limit=2, nextToken=forward)
    assert texts == ["c"]
    texts, same, _ = await logs.read(startFromHead=True, limit=2, nextToken=forward)
    assert (texts, same) == ([], forward)
    late = [{"timestamp": logs.now, "message": "d"}]
    await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=late)
    assert (await logs.read(nextToken=same, startFromHead=True))[0] == ["d"]


async def test_reading_backward_shows_the_latest_first_page_in_order(logs: Harness) -> None:
    await logs.stream("a", "b", "c")
    texts, forward, back = await logs.read(limit=2)
    assert texts == ["b", "c"]
    assert (await logs.read(nextToken=forward))[0] == []
    texts, _, back = await logs.read(limit=2, nextToken=back)
    assert texts == ["a"]
    texts, forward, same = await logs.read(limit=2, nextToken=back)
    assert (texts, same) == ([], back)
    assert (await logs.read(nextToken=forward))[0] == ["a", "b", "c"]


async def test_a_reader_of_an_empty_stream_finds_what_comes(logs: Harness) -> None:
    await logs.stream()
    for start in (False, True):
        texts, forward, _ = await logs.read(startFromHead=start)
        assert texts == []
    event = [{"timestamp": logs.now - HOUR, "message": "first"}]
    await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=event)
    assert (await logs.read(nextToken=forward, startFromHead=True))[0] == ["first"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=12), st.integers(1, 4), st.lists(st.booleans(), max_size=12))
async def test_walking_to_and_fro_never_skips(steps: list[int], limit: int, ways: list[bool]) -> None:
    """However a reader goes through the pages, the next page is what lies beside the last."""
    logs = Harness()
    await logs.stream()
    stamps = sorted(steps)
    if stamps:
        events = [{"timestamp": logs.now + stamp, "message": str(i)} for i, stamp in enumerate(stamps)]
        await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=events)
    everything = [str(i) for i in range(len(stamps))]
    texts, forward, back = await logs.read(startFromHead=True, limit=limit)
    assert texts == everything[:limit]
    low, high = 0, len(texts)
    for onward in ways:
        if onward:
            texts, forward, back = await logs.read(limit=limit, nextToken=forward)
            low, high = high, min(high + limit, len(everything))
        else:
            texts, forward, back = await logs.read(limit=limit, nextToken=back)
            low, high = max(0, low - limit), low
        assert texts == everything[low:high]


async def test_times_bound_a_read(logs: Harness) -> None:
    await logs.stream("a", "b", "c", "d")
    start = logs.now - 4
    assert (await logs.read(startTime=start + 1, endTime=start + 3))[0] == ["b", "c"]
    assert await logs.find(startTime=start + 1, endTime=start + 3) == ["b", "c", "d"]
    assert (await logs.read(startTime=1 << 70, endTime=1 << 80))[0] == []
    missing = await logs.refused("GetLogEvents", logGroupName="g", logStreamName="none")
    assert missing.message == "The specified log stream does not exist."
    for token in ("x", "f/1.1/x", "f/99999999999999999999.1/s", "b/1.99999999999999999999/s"):
        refused = await logs.refused("GetLogEvents", logGroupName="g", logStreamName="s", nextToken=token)
        assert refused.message == "The specified nextToken is invalid."


async def test_a_page_has_a_megabyte_at_most(logs: Harness) -> None:
    await logs.stream()
    for number in range(3):
        event = [{"timestamp": logs.now + number, "message": str(number) * 600_000}]
        await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=event)
    texts, forward, _ = await logs.read(startFromHead=True)
    assert [text[0] for text in texts] == ["0"]
    assert [text[0] for text in (await logs.read(nextToken=forward))[0]] == ["1"]
    assert [text[0] for text in (await logs.read())[0]] == ["2"]


async def test_what_put_refuses(logs: Harness) -> None:
    await logs.stream()
    now = logs.now

    async def code(*events: tuple[int, str], stream: str = "s") -> str:
        listed = [{"timestamp": at, "message": text} for at, text in events]
        refused = await logs.refused("PutLogEvents", logGroupName="g", logStreamName=stream, logEvents=listed)
        return f"{refused.code}: {refused.message}"

    assert "chronological order" in await code((now, "a"), (now - 1, "b"))
    assert "cannot span more than 24 hours" in await code((now - DAY - 1, "a"), (now, "b"))
    assert "Log event too large" in await code((now, "x" * 1_048_576))
    assert "Upload too large" in await code(*((now, "x" * 200_000) for _ in range(6)))
    assert "ResourceNotFoundException" in await code((now, "a"), stream="none")
    assert "Unicode" in await code((now, "\ud800"))
    assert "at least one character" in await code((now, ""))
    assert await logs.find() == []


async def test_events_out_of_time_are_rejected_one_by_one(logs: Harness) -> None:
    await logs.stream()
    now = logs.now

    async def put(*stamps: int) -> Any:
        listed = [{"timestamp": at, "message": str(at)} for at in stamps]
        answer = await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=listed)
        assert answer["nextSequenceToken"]
        return answer.get("rejectedLogEventsInfo")

    assert await put(now - 14 * DAY - 1, now - 14 * DAY) == {"tooOldLogEventEndIndex": 1}
    assert await put(now, now + 2 * HOUR, now + 2 * HOUR + 1) == {"tooNewLogEventStartIndex": 2}
    assert len(await logs.find()) == 3
    await logs("PutRetentionPolicy", logGroupName="g", retentionInDays=1)
    assert await put(now - DAY - 1, now - 5) == {"expiredLogEventEndIndex": 1}
    entity = {"keyAttributes": {"Type": "Service"}}
    answer = await logs(
        "PutLogEvents",
        logGroupName="g",
        logStreamName="s",
        logEvents=[{"timestamp": now, "message": "x"}],
        entity=entity,
    )
    assert answer["rejectedEntityInfo"] == {"errorType": "UnsupportedLogGroupType"}


async def test_a_search_interleaves_streams_by_time(logs: Harness) -> None:
    await logs.stream("a1", "a2", name="a", step=10)
    await logs.stream("b1", "b2", "b3", name="b", step=7)
    everything = ["b1", "a1", "b2", "a2", "b3"]
    assert await logs.find() == everything
    assert await logs.find(startFromHead=False) == everything[::-1]
    assert await logs.find(logStreamNames=["a"]) == ["a1", "a2"]
    assert await logs.find(logStreamNamePrefix="b") == ["b1", "b2", "b3"]
    assert await logs.find(filterPattern="?a2 ?b3") == ["a2", "b3"]
    for head in (True, False):
        seen: list[str] = []
        token: dict[str, str] = {}
        while True:
            asked = {} if token else {"startFromHead": head}
            answer = await logs("FilterLogEvents", logGroupName="g", limit=2, **asked, **token)
            seen.extend(event["message"] for event in answer["events"])
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        assert seen == (everything if head else everything[::-1])
    identifiers = [e["eventId"] for e in (await logs("FilterLogEvents", logGroupName="g"))["events"]]
    assert len(set(identifiers)) == 5 and all(len(identifier) == 56 for identifier in identifiers)


async def test_what_a_search_refuses(logs: Harness) -> None:
    await logs.stream("a", "b", "c")
    bad = await logs.refused("FilterLogEvents", logGroupName="g", filterPattern="{ $.x")
    assert bad.code == "InvalidParameterException" and "Invalid filter pattern" in bad.message
    refused = await logs.refused("FilterLogEvents", logGroupName="g", logStreamNames=["a"], logStreamNamePrefix="b")
    assert refused.code == "InvalidParameterException"
    missing = await logs.refused("FilterLogEvents", logGroupName="g", logStreamNames=["a", "never"])
    assert (missing.code, missing.message) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
    token = (await logs("FilterLogEvents", logGroupName="g", limit=1))["nextToken"]
    other = await logs.refused("FilterLogEvents", logGroupName="g", limit=1, nextToken=token, filterPattern="a")
    assert other.message == "The specified nextToken is invalid."
    assert (await logs.refused("FilterLogEvents", logGroupName="g", nextToken="e30=")).code.startswith("Invalid")
    assert (await logs.refused("FilterLogEvents", logGroupName="none")).code == "ResourceNotFoundException"


async def test_retention_hides_at_once_and_deletes_in_time(logs: Harness) -> None:
    await logs.stream()
    old = [{"timestamp": logs.now - 2 * DAY, "message": "old"}]
    new = [{"timestamp": logs.now, "message": "new"}]
    for events in (old, new):
        await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=events)
    assert await Retention(logs.logs).round() == 0
    await logs("PutRetentionPolicy", logGroupName="g", retentionInDays=1)
    assert (await logs("DescribeLogGroups"))["logGroups"][0]["retentionInDays"] == 1
    assert await logs.find() == ["new"] == (await logs.read())[0]
    assert await Retention(logs.logs).round() == 1
    await logs("DeleteRetentionPolicy", logGroupName="g")
    assert await logs.find() == ["new"]
    assert (await logs.refused("PutRetentionPolicy", logGroupName="g", retentionInDays=2)).code.startswith("Invalid")
    assert [controller.name for controller in controllers(logs.logs)] == ["logs retention"]


# The agents' sink


def batch(*texts: str, previous: int = 0, position: int = 10, at: int = 0, **more: Any) -> LogBatch:
    fields: dict[str, Any] = {"group": "g", "stream": "task", "create_group": False, **more}
    return LogBatch(
        machine=MachineId("m"),
        workload=WorkloadUid("w"),
        container="c",
        previous=previous,
        position=position,
        lines=tuple(LogLine(at, text) for text in texts),
        **fields,
    )


async def test_the_sink_takes_a_batch_once_and_makes_the_stream(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    first = batch("one", "two", at=logs.now)
    for _ in range(2):
        receipt = await logs.take(first)
        assert (receipt.position, receipt.failure) == (10, "")
    assert (await logs.take(batch("three", previous=10, position=15, at=logs.now))).position == 15
    assert await logs.find(logStreamNames=["task"]) == ["one", "two", "three"]


async def test_the_sink_makes_the_group_only_if_asked(logs: Harness) -> None:
    receipt = await logs.take(batch("x", previous=3, at=logs.now))
    assert receipt.position == 3
    assert receipt.failure == "ResourceNotFoundException: The specified log group does not exist."
    assert (await logs.take(batch("x", at=logs.now, create_group=True))).position == 10
    assert await logs.find() == ["x"]
    bad_name = await logs.take(batch("x", group="a b", create_group=True))
    assert bad_name.failure.startswith("InvalidParameterException") and bad_name.position == 10


async def test_the_sink_drops_and_cuts_what_is_no_event(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    await logs.take(batch("too old", at=logs.now - 15 * DAY, position=1))
    await logs.take(batch("", "ok", at=logs.now, previous=1, position=2))
    assert await logs.find() == ["ok"]
    await logs.take(batch("é" * 600_000, at=logs.now + 1, previous=2, position=3))
    long = await logs.find(logStreamNames=["task"], startTime=logs.now + 1)
    again = await logs("FilterLogEvents", logGroupName="g", startTime=logs.now + 1)
    rest = await logs("FilterLogEvents", logGroupName="g", startTime=logs.now + 1, nextToken=again["nextToken"])
    assert "".join(long + [event["message"] for event in rest["events"]]) == "é" * 600_000


ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"


async def test_the_role_is_asked_for_what_the_driver_would_call(logs: Harness) -> None:
    opening = batch(position=0, create_group=True)
    lines = batch("x", at=logs.now, create_group=True)
    assert (await logs.take(opening, ROLE)).failure == (await logs.take(lines, ROLE)).failure == ""
    assert logs.may.asked == [
        (ROLE, "w", "logs:CreateLogStream", f"{ARN}:log-stream:task"),
        (ROLE, "w", "logs:CreateLogGroup", f"{ARN}:log-stream:"),
        (ROLE, "w", "logs:PutLogEvents", f"{ARN}:log-stream:task"),
    ]
    assert await logs.find() == ["x"]
    await logs("DeleteLogStream", logGroupName="g", logStreamName="task")
    logs.may.asked.clear()
    await logs.take(batch("y", at=logs.now, previous=10, position=20), ROLE)
    assert [action for _, _, action, _ in logs.may.asked] == ["logs:PutLogEvents", "logs:CreateLogStream"]


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:CreateLogGroup"])
async def test_a_role_that_may_not_open_its_stream_leaves_nothing_behind(logs: Harness, action: str) -> None:
    logs.may.refused = {action}
    receipt = await logs.take(batch(position=0, create_group=True), ROLE)
    assert receipt.position == 0
    assert receipt.failure.startswith(f"AccessDeniedException: User: x is not authorized to perform: {action} on")
    assert await logs("DescribeLogGroups") == {"logGroups": []}


async def test_a_revoked_permission_stops_the_lines_at_once_and_takes_none(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    await logs.take(batch(position=0), ROLE)
    await logs.take(batch("one", at=logs.now), ROLE)
    logs.may.refused = {"logs:PutLogEvents"}
    second = batch("two", at=logs.now, previous=10, position=20)
    refused = await logs.take(second, ROLE)
    assert refused.position == 10 and "logs:PutLogEvents" in refused.failure
    logs.may.refused = set()
    assert (await logs.take(second, ROLE)).position == 20
    assert await logs.find() == ["one", "two"]


async def test_of_a_forgotten_workload_only_what_was_opened_before_is_taken(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    stranger = await logs.take(batch("x", at=logs.now), None)
    assert stranger.failure.startswith("AccessDeniedException: ")
    await logs.take(batch(position=0), ROLE)
    assert (await logs.take(batch("last words", at=logs.now), None)).failure == ""
    assert await logs.find() == ["last words"]


async def test_a_prefix_of_more_than_ten_thousand_streams_drops_none(logs: Harness) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    group = await logs.logs.groups.get("g")
    assert group is not None
    for number in range(10_001):
        await logs.journal.create_stream(group.uid, f"a/{number:05}", logs.now)
    await logs.journal.append(group.uid, "a/10000", [(logs.now, "last")], logs.now)
    assert await logs.find(logStreamNamePrefix="a/") == ["last"]
