"""Account settings say what holds, and refuse what they could not make true."""

from __future__ import annotations

from support.ecs import world


async def test_effective_settings_are_what_holds() -> None:
    async with world() as w:
        assert (await w.call("ListAccountSettings"))["settings"] == []
        found = (await w.call("ListAccountSettings", effectiveSettings=True))["settings"]
        values = {setting["name"]: setting["value"] for setting in found}
        assert values["taskLongArnFormat"] == "enabled" and values["awsvpcTrunking"] == "disabled"
        one = await w.call("ListAccountSettings", effectiveSettings=True, name="taskLongArnFormat", value="enabled")
        assert [setting["name"] for setting in one["settings"]] == ["taskLongArnFormat"]
        none = await w.call("ListAccountSettings", effectiveSettings=True, name="taskLongArnFormat", value="disabled")
        assert none["settings"] == []
        assert (await w.refusal("ListAccountSettings", value="enabled")).code == "InvalidParameterException"


async def test_what_holds_may_be_asked_for_and_nothing_else() -> None:
    async with world() as w:
        for operation in ("PutAccountSetting", "PutAccountSettingDefault"):
            answer = await w.call(operation, name="taskLongArnFormat", value="enabled")
            assert answer["setting"]["value"] == "enabled"
            fault = await w.refusal(operation, name="containerInsights", value="enabled")
            assert "containerInsights=enabled" in fault.message
            assert "guardDutyActivate" in (await w.refusal(operation, name="guardDutyActivate", value="on")).message
        assert (await w.call("DeleteAccountSetting", name="containerInsights"))["setting"]["value"] == "disabled"
