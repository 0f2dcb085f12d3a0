import assert from 'node:assert/strict';
import { AuthorizationCode } from 'simple-oauth2';
import { done, scene, visit } from './scene.mjs';

// This library reads no metadata and knows no PKCE.
const { origin, pathname } = new URL(scene.issuer);
const client = new AuthorizationCode({
  client: { id: scene.client_id, secret: scene.client_secret },
  auth: {
    tokenHost: origin,
    authorizePath: `${pathname}/oauth/authorize/`,
    tokenPath: `${pathname}/oauth/token/`,
    revokePath: `${pathname}/oauth/revoke/`,
  },
});
const { redirect_uri, scope } = scene;
const back = new URL(await visit(client.authorizeURL({ redirect_uri, scope, state: 'a state' })));
assert.equal(back.searchParams.get('state'), 'a state');
done('authorize');

const first = await client.getToken({ code: back.searchParams.get('code'), redirect_uri });
assert.equal(first.token.site_uuid, scene.site_uuid);
done('exchange');

const subscribe = async ({ token }) => {
  const headers = { authorization: `${token.token_type} ${token.access_token}`, 'content-type': 'application/json' };
  const answer = await fetch(scene.subscription, { method: 'PUT', headers, body: JSON.stringify(scene.subscribe) });
  return answer.status;
};
assert.equal(await subscribe(first), 200);
done('subscribe');

const second = await first.refresh();
assert.equal(await subscribe(second), 200);
done('refresh');

await second.revokeAll();
assert.equal(await subscribe(second), 401);
done('revoke');
