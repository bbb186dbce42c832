"""Coverage is counted from the code and from the tests' own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropewalk.aws.coverage import Misnamed, coverage
from ropewalk.aws.operations import Call, Operations, Params


async def nothing(slice: None, call: Call, params: Params) -> Params:
    return {}


def offers(*names: str) -> Operations[None]:
    operations = Operations[None]("ecs")
    for name in names:
        operations.operation(name)(nothing)
    return operations


@pytest.mark.parametrize(
    "line",
    [
        'await ecs.offered["RunTask"].run(ecs, call, {})',
        "await call('RunTask')",
        "client.run_task(cluster='x')",
        'aws("ecs", "run-task", "--cluster")',
        'run("aws ecs run-task --cluster x")',
    ],
)
def test_the_ways_in_which_tests_call_an_operation(tmp_path: Path, line: str) -> None:
    (tmp_path / "test_x.py").write_text(line)
    (found,) = coverage([offers("RunTask", "StopTask")], tmp_path)
    by_name = {operation.name: operation for operation in found.operations}
    assert (by_name["RunTask"].implemented, by_name["RunTask"].tested) == (True, True)
    assert (by_name["StopTask"].implemented, by_name["StopTask"].tested) == (True, False)
    assert (by_name["UpdateService"].implemented, by_name["UpdateService"].tested) == (False, False)
    assert (found.implemented, found.tested) == (2, 1)


def test_without_tests_nothing_is_claimed_of_them() -> None:
    (found,) = coverage([offers("RunTask")], None)
    assert {operation.tested for operation in found.operations} == {None}


def test_an_operation_that_no_model_names_is_an_error() -> None:
    with pytest.raises(Misnamed, match="RunTsak"):
        coverage([offers("RunTsak")], None)
