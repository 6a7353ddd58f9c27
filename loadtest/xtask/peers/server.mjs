// What a Node.js shop would pick, written as the READMEs of its packages write it: the session lives
// in an encrypted cookie, and an access token that has run out is refreshed by whoever meets it.

import { Agent } from 'node:http';

import express from 'express';
import oidc from 'express-openid-connect';
import { createProxyMiddleware } from 'http-proxy-middleware';

const settings = JSON.parse(process.env.PEER_SETTINGS);

const app = express();
app.disable('x-powered-by');

app.use(
  oidc.auth({
    issuerBaseURL: settings.issuer,
    baseURL: settings.origin,
    clientID: settings.client_id,
    clientSecret: settings.client_secret,
    secret: 'seals cookies for as long as the measurement lasts',
    authRequired: true,
    idTokenSigningAlg: 'ES256',
    authorizationParams: {
      response_type: 'code',
      response_mode: 'query',
      scope: settings.scope,
      audience: settings.audience,
    },
    routes: { callback: '/signed-in', login: '/sign-in', logout: '/sign-out' },
  }),
);

app.use(async (request, response, next) => {
  try {
    let { access_token, isExpired, refresh } = request.oidc.accessToken;
    if (isExpired()) ({ access_token } = await refresh());
    request.headers.authorization = `Bearer ${access_token}`;
    next();
  } catch {
    response.status(502).send('the access token could not be refreshed');
  }
});

app.use(
  createProxyMiddleware({
    target: settings.upstream,
    agent: new Agent({ keepAlive: true, maxSockets: 1024 }),
  }),
);

app.listen(settings.port, '127.0.0.1');
