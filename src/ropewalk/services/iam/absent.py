"""What nobody has here: passwords, MFA devices, certificates, SSH keys, identity providers.

None of them can be made, so that each list is truly empty and each one asked for truly missing. Tools ask before they
delete a user (Terraform, the console), and must hear that.
"""

from __future__ import annotations

from ropewalk.aws.operations import Call, Params
from ropewalk.services.iam.named import USER
from ropewalk.services.iam.slice import Iam, no_such, offer
from ropewalk.services.iam.users import caller_user


def _offer_of_user(operation: str, member: str, paged: bool) -> None:
    @offer(operation, on=USER)
    async def list_none(iam: Iam, call: Call, params: Params) -> Params:
        await USER.existing(iam, caller_user(call, params))
        return {member: [], "IsTruncated": False} if paged else {member: []}


_offer_of_user("ListMFADevices", "MFADevices", True)
_offer_of_user("ListSSHPublicKeys", "SSHPublicKeys", True)
_offer_of_user("ListSigningCertificates", "Certificates", True)
_offer_of_user("ListServiceSpecificCredentials", "ServiceSpecificCredentials", False)


@offer("GetLoginProfile", on=USER)
async def get_login_profile(iam: Iam, call: Call, params: Params) -> Params:
    user = await USER.existing(iam, caller_user(call, params))
    raise no_such(f"Login Profile for User {user.name} cannot be found.")


@offer("ListOpenIDConnectProviders")
async def list_open_id_connect_providers(iam: Iam, call: Call, params: Params) -> Params:
    return {"OpenIDConnectProviderList": []}


@offer("ListSAMLProviders")
async def list_saml_providers(iam: Iam, call: Call, params: Params) -> Params:
    return {"SAMLProviderList": []}
