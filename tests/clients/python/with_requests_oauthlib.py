import os

import requests
from oauthlib.oauth2 import WebApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from scene import SCENE, done, visit

# Plain http is for loopback only.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

# This library reads no metadata and has no introspection.
oauth = SCENE["issuer"] + "/oauth/"
client = WebApplicationClient(SCENE["client_id"])
secret = HTTPBasicAuth(SCENE["client_id"], SCENE["client_secret"])
session = OAuth2Session(client=client, redirect_uri=SCENE["redirect_uri"], scope=SCENE["scope"].split(), pkce="S256")
ask, state = session.authorization_url(oauth + "authorize/")
back = visit(ask)
done("authorize")

first = session.fetch_token(
    oauth + "token/", authorization_response=back, client_secret=SCENE["client_secret"]
)
assert first["site_uuid"] == SCENE["site_uuid"], first
done("exchange")


def subscribe():
    return session.put(SCENE["subscription"], json=SCENE["subscribe"]).status_code


assert subscribe() == 200
done("subscribe")

second = session.refresh_token(oauth + "token/", auth=secret)
assert second["access_token"] != first["access_token"]
assert subscribe() == 200
done("refresh")

url, headers, body = client.prepare_token_revocation_request(
    oauth + "revoke/", second["refresh_token"], token_type_hint="refresh_token"
)
revoked = requests.post(url, data=body, headers=headers, auth=secret)
assert revoked.status_code == 200, revoked.text
assert subscribe() == 401
done("revoke")
