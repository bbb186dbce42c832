"""Who calls and what they may do, put together for one cluster: authenticators, authorizers, tokens, reviews.

caller      certificate, front proxy, service account token, bootstrap token      security.authenticators
may they    system:masters, nodes, roles                                          security.authorizer
reviews     the same questions, asked as objects                                  security.*_reviews
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery.admission import AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.registry.subresources import Evaluate
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.access_reviews import AccessReviews
from ropewalk.kube.security.authenticators import Union, cluster_authenticator
from ropewalk.kube.security.authorizer import Chain, Masters
from ropewalk.kube.security.bootstrap_tokens import BootstrapTokens
from ropewalk.kube.security.node_authorizer import NodeAuthorizer
from ropewalk.kube.security.node_graph import NodeGraph
from ropewalk.kube.security.pki import ClusterKeys
from ropewalk.kube.security.rbac import Rbac
from ropewalk.kube.security.service_account_authenticator import ServiceAccountAuthenticator
from ropewalk.kube.security.service_account_tokens import ISSUER, TokenIssuer
from ropewalk.kube.security.token_keys import TokenKeys
from ropewalk.kube.security.token_requests import TokenRequests
from ropewalk.kube.security.token_reviews import IdentityReviews
from ropewalk.kube.security.tokens import TokenAuthenticators

AUDIENCES = (ISSUER,)
AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Identity:
    authenticator: Union
    authorizer: Chain
    rbac: Rbac
    graph: NodeGraph
    issuer: TokenIssuer
    reviews: dict[GroupResource, Evaluate]

    @classmethod
    def build(cls, api: Api, keys: ClusterKeys, clock: Clock, entropy: Entropy) -> Identity:
        rbac, graph, masters = Rbac(api), NodeGraph(api), Masters()
        nodes = NodeAuthorizer(graph)
        authorizer = Chain([masters, nodes, rbac])
        token_keys = TokenKeys([keys.service_account_key])
        accounts = ServiceAccountAuthenticator(api, token_keys, AUDIENCES, clock)
        tokens = TokenAuthenticators([accounts, BootstrapTokens(api, clock)], AUDIENCES, clock)
        access = AccessReviews(authorizer, [masters, nodes, rbac])
        identity = IdentityReviews(tokens, clock)
        reviews: dict[GroupResource, Evaluate] = {
            GroupResource(AUTHENTICATION, "tokenreviews"): identity.of_token,
            GroupResource(AUTHENTICATION, "selfsubjectreviews"): identity.of_self,
            GroupResource(AUTHORIZATION, "subjectaccessreviews"): access.of_subject,
            GroupResource(AUTHORIZATION, "localsubjectaccessreviews"): access.of_subject,
            GroupResource(AUTHORIZATION, "selfsubjectaccessreviews"): access.of_self,
            GroupResource(AUTHORIZATION, "selfsubjectrulesreviews"): access.rules_of_self,
        }
        issuer = TokenIssuer(token_keys, clock, entropy)
        return cls(cluster_authenticator(keys, tokens, clock), authorizer, rbac, graph, issuer, reviews)

    async def synced(self) -> None:
        """Returns once the caches that decisions rest on are warm. The nodes' graph begins with the first node."""
        await self.rbac.synced()

    def token_requests(self, api: Api, chain: AdmissionChain, clock: Clock) -> TokenRequests:
        return TokenRequests(api, self.issuer, chain, AUDIENCES, clock)


def requested_name(request: bytes) -> str:
    """The common name that a certificate request in PEM asks for. Raises `ValueError`."""
    found = x509.load_pem_x509_csr(request).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""
