import os

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from scene import SCENE, done, visit

# Plain http is for loopback only.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

server = AuthorizationServerMetadata(requests.get(get_well_known_url(SCENE["issuer"], external=True)).json())
server.validate()
done("metadata")

session = OAuth2Session(
    SCENE["client_id"],
    SCENE["client_secret"],
    scope=SCENE["scope"],
    redirect_uri=SCENE["redirect_uri"],
    code_challenge_method="S256",
    token_endpoint=server["token_endpoint"],
)
verifier = "a-verifier-that-nobody-else-would-think-of-48-chars"
ask, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier)
back = visit(ask)
done("authorize")

first = session.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
assert first["site_uuid"] == SCENE["site_uuid"], first
done("exchange")


def subscribe():
    return session.put(SCENE["subscription"], json=SCENE["subscribe"]).status_code


assert subscribe() == 200
done("subscribe")

second = session.refresh_token(server["token_endpoint"], refresh_token=first["refresh_token"])
assert second["access_token"] != first["access_token"]
assert subscribe() == 200
done("refresh")


def introspect():
    answer = session.introspect_token(server["introspection_endpoint"], token=second["access_token"])
    return answer.json()["active"]


assert introspect() is True
done("introspect")

revoked = session.revoke_token(
    server["revocation_endpoint"], token=second["refresh_token"], token_type_hint="refresh_token"
)
assert revoked.status_code == 200, revoked.text
assert introspect() is False
assert subscribe() == 401
done("revoke")
