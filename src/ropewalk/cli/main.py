"""`ropewalk`: the one command. Each subcommand's module is imported only when it is called."""

from __future__ import annotations

import importlib

import click

from ropewalk import __version__

_COMMANDS = {
    "up": "ropewalk.cli.lifecycle:up",
    "down": "ropewalk.cli.lifecycle:down",
    "reset": "ropewalk.cli.lifecycle:reset",
    "status": "ropewalk.cli.status:status",
    "env": "ropewalk.cli.env:env",
    "doctor": "ropewalk.cli.doctor:doctor",
    "coverage": "ropewalk.cli.coverage:coverage",
    "kube": "ropewalk.cli.kube:kube",
    "completion": "ropewalk.cli.completion:completion",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, name = target.split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ropewalk")
def main() -> None:
    """Amazon ECS and Amazon EKS over one runtime, on your own Linux machines."""


if __name__ == "__main__":
    main()
