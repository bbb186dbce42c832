"""`ropewalk coverage`: operations × implemented × tested, counted from the code itself."""

from __future__ import annotations

from pathlib import Path

import click

from ropewalk.cli.output import document, output_option


@click.command()
@click.argument("services", nargs=-1)
@output_option
def coverage(services: tuple[str, ...], output: str) -> None:
    """Count what is implemented and tested, per service; name SERVICES to list their operations."""
    import ropewalk
    from ropewalk.aws.coverage import ServiceCoverage
    from ropewalk.aws.coverage import coverage as count
    from ropewalk.services import ec2, ecs, iam, logs, sts

    offers = [module.operations for module in (ecs, ec2, logs, iam, sts)]
    known = [operations.service for operations in offers]
    if unknown := [name for name in services if name not in known]:
        raise click.UsageError(f"No such service here: {', '.join(unknown)}. There are: {', '.join(known)}.")
    found = count(
        [operations for operations in offers if not services or operations.service in services],
        Path(ropewalk.__file__).parent.parent.parent / "tests",
    )

    def row(service: ServiceCoverage) -> dict[str, object]:
        counts: dict[str, object] = {
            "service": service.service,
            "operations": len(service.operations),
            "implemented": service.implemented,
            "tested": service.tested,
        }
        if services:
            counts["each"] = {
                op.name: {"implemented": op.implemented, "tested": op.tested} for op in service.operations
            }
        return counts

    if output == "json":
        document([row(service) for service in found])
        return
    click.echo(f"{'service':<10}{'operations':>12}{'implemented':>13}{'tested':>8}")
    for service in found:
        click.echo(f"{service.service:<10}{len(service.operations):>12}{service.implemented:>13}{service.tested:>8}")
        if services:
            for operation in service.operations:
                mark = (
                    "tested"
                    if operation.tested and operation.implemented
                    else ""
                    if operation.tested is None
                    else "untested"
                )
                click.echo(f"  {operation.name:<50} {mark if operation.implemented else 'not implemented'}")
