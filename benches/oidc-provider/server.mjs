// The peer of the token benchmark: node oidc-provider with its in-memory adapter and refresh tokens that rotate.
//
// Run in a folder in which `npm install oidc-provider` was done: node --input-type=module < server.mjs
// One line of its output is JSON: where it listens, its client, and the tokens of 16 grants.

import Provider from 'oidc-provider';
import { createServer } from 'node:http';

const GRANTS = 16;
const client = { client_id: 'piesync', client_secret: 'benchmark-secret-of-a-good-length' };
// Without "openid" no ID token is signed: there is none on the other side, either.
const scope = 'offline_access';

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  clients: [{
    ...client,
    redirect_uris: ['https://piesync.example/cb'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  features: { introspection: { enabled: true }, devInteractions: { enabled: false } },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
});
server.on('request', provider.callback());

async function connect(accountId) {
  const grant = new provider.Grant({ accountId, clientId: client.client_id });
  grant.addOIDCScope(scope);
  const common = {
    accountId,
    client: await provider.Client.find(client.client_id),
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope,
  };
  return {
    refresh_token: await new provider.RefreshToken(common).save(),
    access_token: await new provider.AccessToken(common).save(),
  };
}

const pairs = await Promise.all(Array.from({ length: GRANTS }, (_, n) => connect(`user ${n}`)));
console.log(JSON.stringify({ url, ...client, pairs }));
