"""The `ropewalk` command as a shell meets it: exports, completion, findings, counts; refusals in one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ropewalk import __version__
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import Settings
from ropewalk.cli.main import _COMMANDS, main
from ropewalk.cli.output import explained
from ropewalk.daemon import host_check, installation
from ropewalk.daemon.host_check import Finding
from ropewalk.daemon.installation import ClientKey
from ropewalk.services import ecs

Run = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))
    return Settings(home=tmp_path / "home", port=4999)


@pytest.fixture
def run(settings: Settings) -> Run:
    def ropewalk(*arguments: str, **options: object) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False, **options)  # type: ignore[arg-type]

    return ropewalk


@pytest.fixture
def published(settings: Settings) -> Settings:
    """As `up` leaves it, without any process."""
    installation.save_settings(settings)
    installation.publish(settings, ClientKey("AKIAEXAMPLE", 'it\'s $(a) "secret" `with` \\ all'))
    return settings


# --- every command


def test_every_command_is_there_and_has_help(run: Run) -> None:
    listed = run("--help").output
    for name in _COMMANDS:
        assert f"  {name} " in listed
        assert "Usage:" in run(name, "--help").output
    assert __version__ in run("--version").output
    assert run("no-such-command").exit_code == 2


@pytest.mark.parametrize("command", [["env"], ["status"], ["down"]])
def test_where_nothing_runs_one_line_says_how_to_start(run: Run, settings: Settings, command: list[str]) -> None:
    result = run(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("ropewalk: ") and "ropewalk up" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not settings.home.exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Fault("PortBusy", "Take another port."), "ropewalk: Take another port.\n"),
        (Retryable("nobody answers", after=1), "ropewalk: nobody answers. Look at: ropewalk status\n"),
    ],
)
def test_a_refusal_is_one_line_and_status_1(problem: Exception, line: str) -> None:
    @click.command()
    def refusing() -> None:
        with explained():
            raise problem

    result = CliRunner().invoke(refusing)
    assert (result.exit_code, result.stderr, result.stdout) == (1, line, "")


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), explained():
        raise ZeroDivisionError


# --- env


def evaluated(exports: str, environment: dict[str, str]) -> dict[str, str]:
    """What a plain sh has in its environment after `eval` of the exports."""
    done = subprocess.run(
        ["sh", "-euc", 'eval "$EXPORTS"; unset EXPORTS; env -0'],
        env={"PATH": "/usr/bin:/bin", "EXPORTS": exports, **environment},
        capture_output=True,
        check=True,
    )
    return dict(item.split("=", 1) for item in done.stdout.decode().split("\0") if "=" in item)


def test_exports_survive_any_shell_and_clear_what_would_win_over_them(run: Run, published: Settings) -> None:
    before = {
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "old",
        "AWS_ENDPOINT_URL_ECS": "https://elsewhere",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere",
        "AWS_ENDPOINT_URL": "https://elsewhere",
        "AWS_MAX_ATTEMPTS": "7",
    }
    result = run("env")
    assert result.exit_code == 0 and result.stderr == ""
    after = {name: value for name, value in evaluated(result.stdout, before).items() if name.startswith("AWS")}
    assert after == {**json.loads(run("env", "--output", "json").stdout), "AWS_MAX_ATTEMPTS": "7"}
    assert after["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"
    assert after["AWS_SECRET_ACCESS_KEY"] == 'it\'s $(a) "secret" `with` \\ all'
    assert after["AWS_REGION"] == after["AWS_DEFAULT_REGION"] == "us-east-1"


def test_without_the_key_env_exports_nothing(run: Run, published: Settings) -> None:
    installation.credentials_file(published).unlink()
    result = run("env")
    assert (result.exit_code, result.stdout) == (1, "")


# --- status


def test_a_dead_installation_is_shown_as_one(run: Run, published: Settings) -> None:
    text = run("status")
    assert text.exit_code == 3
    assert "http://127.0.0.1:4999" in text.stdout and "not ready" in text.stdout
    assert "does not answer" in text.stdout
    assert "tasks:" not in text.stdout, "nobody knows"
    document = json.loads(run("status", "--output", "json").stdout)
    assert document["ready"] is False and "does not answer" in document["problem"]
    assert document["processes"] == {}


def test_what_is_insecure_or_faked_is_said(run: Run, settings: Settings) -> None:
    loud = Settings(
        home=settings.home, port=settings.port, simulated=True, accept_any_credentials=True, time_scale=60.0
    )
    installation.save_settings(loud)
    installation.publish(loud, ClientKey("a", "b"))
    said = run("status").stdout
    assert "simulated" in said and "any credentials are accepted" in said and "60 times" in said


# --- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"{shell}_complete" in script and "ropewalk" in script
    words = {"COMP_WORDS": "ropewalk st", "COMP_CWORD": "1" if shell != "fish" else "st", "_ROPEWALK_COMPLETE": ""}
    words["_ROPEWALK_COMPLETE"] = f"{shell}_complete"
    answer = CliRunner().invoke(main, [], env=words, prog_name="ropewalk", complete_var="_ROPEWALK_COMPLETE")
    assert "status" in answer.stdout and "reset" not in answer.stdout


def test_completion_knows_no_other_shell(run: Run) -> None:
    assert run("completion", "tcsh").exit_code == 2


# --- doctor


FOUND = [
    Finding("root", True, "uid 0"),
    Finding("overlay file system", False, "no", "modprobe overlay"),
    Finding("gVisor (runsc)", False, "no", "optional", required=False),
]


def test_doctor_says_what_lacks_and_what_mends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_check, "check", lambda settings: FOUND)
    result = run("doctor")
    assert result.exit_code == 1
    row = next(line for line in result.stdout.splitlines() if "overlay" in line)
    assert row.startswith("lacks") and row.rstrip().endswith("modprobe overlay")
    documents = json.loads(run("doctor", "--output", "json").stdout)
    assert [(item["what"], item["fine"], item["required"]) for item in documents] == [
        ("root", True, True),
        ("overlay file system", False, True),
        ("gVisor (runsc)", False, False),
    ]


def test_doctor_is_content_where_only_the_optional_lacks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_check, "check", lambda settings: [FOUND[0], FOUND[2]])
    assert run("doctor").exit_code == 0


def test_what_is_found_is_found_out_here_and_changes_nothing(settings: Settings) -> None:
    findings = {finding.what: finding for finding in host_check.check(settings)}
    assert {"root", "kernel 5.4 or newer", "cgroups cpu, memory, pids", "overlay file system"} <= findings.keys()
    assert all(finding.fine or finding.mend for finding in findings.values()), "whatever lacks can be mended"
    assert not settings.home.exists()


# --- coverage


def test_coverage_counts_from_the_code(run: Run) -> None:
    rows = {row["service"]: row for row in json.loads(run("coverage", "--output", "json").stdout)}
    assert set(rows) == {"ecs", "ec2", "logs", "iam", "sts"}
    for row in rows.values():
        assert 0 < row["tested"] <= row["implemented"] <= row["operations"], row
    assert rows["ecs"]["implemented"] == len(ecs.operations.offered)
    one = json.loads(run("coverage", "ecs", "--output", "json").stdout)
    assert one[0]["each"]["RunTask"] == {"implemented": True, "tested": True}
    assert {"implemented": False, "tested": False} in one[0]["each"].values()
    assert "ecs" in run("coverage").stdout


def test_coverage_of_an_unknown_service_names_the_known(run: Run) -> None:
    result = run("coverage", "s3")
    assert result.exit_code == 2 and "There are: ecs, ec2, logs, iam, sts" in result.stderr


# --- up's own checks


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "0"),
        ("--port", "65536"),
        ("--time-scale", "0.5"),
        ("--fargate-limits", "none"),
        ("--images", "some"),
        ("--vpc-cidr", "10.0.0.0"),
        ("--vpc-cidr", "10.0.0.1/16"),
        ("--vpc-cidr", "10.0.0.0/24"),
        ("--vpc-cidr", "8.8.0.0/16"),
        ("--vpc-cidr", "nonsense"),
    ],
)
def test_up_refuses_bad_options_before_anything_happens(run: Run, settings: Settings, option: str, value: str) -> None:
    result = run("up", "--simulated", "--detach", option, value)
    assert result.exit_code == 2, result.output
    assert option in result.stderr
    assert not settings.home.exists()
