"""`ropewalk env`: what a shell needs so that aws, boto3 and terraform find us. Touches no file of theirs."""

from __future__ import annotations

import shlex

import click

from ropewalk.base.settings import default_home
from ropewalk.cli.output import document, explained, output_option
from ropewalk.daemon.installation import find_beacon, read_client_key

UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CA_BUNDLE")
"""Each of these would make a client ignore the key or the endpoint that we export."""

_UNSET_SERVICE_ENDPOINTS = (
    r"for _name in $(env | sed -n 's/^\(AWS_ENDPOINT_URL_[A-Z0-9_]*\)=.*/\1/p'); do unset $_name; done; unset _name"
)
"""Plain sh: an endpoint set for one service (AWS_ENDPOINT_URL_ECS) would win over ours."""


@click.command()
@output_option
def env(output: str) -> None:
    """Print exports for the shell: eval "$(ropewalk env)"."""
    with explained():
        beacon = find_beacon(default_home())
        key = read_client_key(beacon)
    values = {
        "AWS_ENDPOINT_URL": beacon.endpoint,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_REGION": beacon.region,
        "AWS_DEFAULT_REGION": beacon.region,
    }
    if output == "json":
        document(values)
        return
    click.echo(f"unset {' '.join(UNSET)}")
    click.echo(_UNSET_SERVICE_ENDPOINTS)
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")
