import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { done, scene, visit } from './scene.mjs';

const secret = client.ClientSecretBasic(scene.client_secret);
// Plain http is for loopback only.
const options = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] };
const config = await client.discovery(new URL(scene.issuer), scene.client_id, undefined, secret, options);
done('metadata');

const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const ask = client.buildAuthorizationUrl(config, {
  redirect_uri: scene.redirect_uri,
  scope: scene.scope,
  state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
});
const back = new URL(await visit(ask.href));
done('authorize');

const checks = { pkceCodeVerifier: verifier, expectedState: state };
const first = await client.authorizationCodeGrant(config, back, checks);
assert.equal(first.site_uuid, scene.site_uuid);
done('exchange');

const subscribe = (token) => client.fetchProtectedResource(
  config, token, new URL(scene.subscription), 'PUT', JSON.stringify(scene.subscribe),
  new Headers({ 'content-type': 'application/json' }));
assert.equal((await subscribe(first.access_token)).status, 200);
done('subscribe');

const second = await client.refreshTokenGrant(config, first.refresh_token);
assert.equal((await subscribe(second.access_token)).status, 200);
done('refresh');

assert.equal((await client.tokenIntrospection(config, second.access_token)).active, true);
done('introspect');

await client.tokenRevocation(config, second.refresh_token);
assert.equal((await client.tokenIntrospection(config, second.access_token)).active, false);
await assert.rejects(subscribe(second.access_token), (error) => error.cause[0].parameters.error === 'invalid_token');
done('revoke');
