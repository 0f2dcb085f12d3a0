import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { done, scene, visit } from './scene.mjs';

// Plain http is for loopback only.
const options = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(scene.issuer);
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options });
const server = await oauth.processDiscoveryResponse(issuer, found);
done('metadata');

const client = { client_id: scene.client_id };
const secret = oauth.ClientSecretBasic(scene.client_secret);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const ask = new URL(server.authorization_endpoint);
ask.search = new URLSearchParams({
  client_id: scene.client_id,
  response_type: 'code',
  redirect_uri: scene.redirect_uri,
  scope: scene.scope,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
});
const back = oauth.validateAuthResponse(server, client, new URL(await visit(ask.href)), state);
done('authorize');

const exchanged = await oauth.authorizationCodeGrantRequest(
  server, client, secret, back, scene.redirect_uri, verifier, options);
const first = await oauth.processAuthorizationCodeResponse(server, client, exchanged);
assert.equal(first.site_uuid, scene.site_uuid);
done('exchange');

const subscribe = (token) => oauth.protectedResourceRequest(
  token, 'PUT', new URL(scene.subscription), new Headers({ 'content-type': 'application/json' }),
  JSON.stringify(scene.subscribe), options);
assert.equal((await subscribe(first.access_token)).status, 200);
done('subscribe');

const refreshed = await oauth.refreshTokenGrantRequest(server, client, secret, first.refresh_token, options);
const second = await oauth.processRefreshTokenResponse(server, client, refreshed);
assert.equal((await subscribe(second.access_token)).status, 200);
done('refresh');

const introspect = async () => {
  const answer = await oauth.introspectionRequest(server, client, secret, second.access_token, options);
  return oauth.processIntrospectionResponse(server, client, answer);
};
assert.equal((await introspect()).active, true);
done('introspect');

const revoked = await oauth.revocationRequest(server, client, secret, second.refresh_token, options);
await oauth.processRevocationResponse(revoked);
assert.equal((await introspect()).active, false);
await assert.rejects(subscribe(second.access_token), (error) => {
  const [challenge] = error.cause;
  return challenge.scheme === 'bearer' && challenge.parameters.error === 'invalid_token';
});
done('revoke');
