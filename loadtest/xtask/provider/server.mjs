// A certified OpenID provider (npm oidc-provider) as a strict tenant for the end-to-end tests:
// short access tokens as JWTs, every refresh rotates, one reuse ends the whole grant, no leeway.
//
//   node server.mjs --redirect-uri http://127.0.0.1:*/auth/callback
//
// Prints one JSON line when it is ready: issuer, client_id, client_secret, display_id, ledger.
// `*` as the port accepts every port. GET /__ledger answers what happened so far as JSON.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { errors, interactionPolicy, Provider } from 'oidc-provider';

import {
  codePage, confirmPage, deviceDonePage, devicePage, errorPage, signedOutPage, signInPage, signOutPage,
} from './pages.mjs';
import { MapStore } from './store.mjs';

const CLIENT_ID = 'tokenward';
/** A display that signs in by itself (RFC 8628), and can keep no secret. */
const DISPLAY_ID = 'display';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** Long enough for any run; nothing but the access tokens is meant to end by itself. */
const LONG_SECONDS = 24 * 60 * 60;
/** A sign-in form has one field: more is not a sign-in. */
const FORM_LIMIT_BYTES = 4096;

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'redirect-uri': { type: 'string', multiple: true, default: ['http://127.0.0.1:*/auth/callback'] },
    'post-logout-redirect-uri': { type: 'string', multiple: true, default: ['http://127.0.0.1:*/'] },
    audience: {
      type: 'string',
      multiple: true,
      default: [
        'https://quotes.sandbox.example=read:quotes',
        'https://accounts.sandbox.example=read:accounts write:accounts',
      ],
    },
    acr: { type: 'string', multiple: true, default: ['urn:sandbox:second-factor'] },
    'access-token-seconds': { type: 'string', default: '10' },
    'offline-needs-consent': { type: 'boolean', default: false },
    'until-stdin-closes': { type: 'boolean', default: false },
  },
});

const audiences = new Map(options.audience.map((row) => row.split('=', 2)));
const clientSecret = process.env.PROVIDER_CLIENT_SECRET ?? randomBytes(24).toString('base64url');
const ledger = {
  logins: 0, confirmations: 0, logouts: 0, code_grants: 0, device_grants: 0, refreshes: 0, refreshes_by_resource: {},
  reuse_detected: 0, grants_revoked: 0, revocations: 0, introspections: 0, errors: 0, error_details: {},
};

const server = createServer();
server.listen(Number(options.port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  serve(issuer);
  console.log(JSON.stringify({
    issuer, client_id: CLIENT_ID, client_secret: clientSecret, display_id: DISPLAY_ID, ledger: `${issuer}/__ledger`,
  }));
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(0));
}
if (options['until-stdin-closes']) {
  // A killed test must not leave its provider behind.
  process.stdin.on('end', () => process.exit(0)).resume();
}

function serve(issuer) {
  const provider = new Provider(issuer, configuration());
  acceptAnyPort(provider);
  keepLedger(provider);
  const library = provider.callback();
  server.on('request', (request, response) => {
    const { pathname } = new URL(request.url, issuer);
    if (pathname === '/__ledger') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(ledger));
    } else if (pathname.startsWith('/interaction/')) {
      interact(provider, request, response).catch((error) => refuse(response, error));
    } else {
      library(request, response);
    }
  });
}

function configuration() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };
  return {
    adapter: MapStore,
    clients: [client(), display()],
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    jwks: { keys: [jwk] },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    // Fifteen seconds by default: that would more than double the life of a ten-second token.
    clockTolerance: 0,
    rotateRefreshToken: true,
    // The certified default drops offline_access of a web client that did not send
    // prompt=consent, and then issues no refresh token at all.
    issueRefreshToken: async (ctx, forClient, source) => forClient.grantTypeAllowed('refresh_token')
      && (!options['offline-needs-consent'] || source.scopes.has('offline_access')),
    expiresWithSession: async () => false,
    // Scopes of an API belong to its resource: listed here they would need a consent of their own.
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    findAccount: async (ctx, sub) => ({
      accountId: sub,
      claims: async () => ({ sub, name: sub, email: `${sub}@sandbox.example` }),
    }),
    pkce: { required: () => true },
    acrValues: options.acr,
    interactions: { policy: policy(), url: async (ctx, interaction) => `/interaction/${interaction.uid}` },
    renderError: async (ctx, out) => {
      ctx.type = 'html';
      ctx.body = errorPage(`${out.error}: ${out.error_description ?? ''}`);
    },
    features: features(),
    ttl: {
      AccessToken: Number(options['access-token-seconds']),
      AuthorizationCode: 60,
      Grant: LONG_SECONDS,
      IdToken: LONG_SECONDS,
      Interaction: 600,
      RefreshToken: LONG_SECONDS,
      Session: LONG_SECONDS,
    },
  };
}

/**
 * The library takes `acr_values` for a wish that a session without the class may leave unmet (OpenID
 * Connect Core 3.1.2.1); here whoever wishes for a class gets it, as with the big providers.
 */
function policy() {
  const { base, Check } = interactionPolicy;
  const prompts = base();
  prompts.get('login').checks.push(new Check('acr_values', 'a wanted class is not met', 'login_required', ({ oidc }) => {
    const wanted = wantedClasses(oidc.params);
    return wanted.length === 0 || wanted.includes(oidc.acr)
      ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
  }));
  return prompts;
}

function wantedClasses(params) {
  return params.acr_values?.split(' ') ?? [];
}

function client() {
  const atSomePort = (uri) => uri.replace(':*', '');
  return {
    client_id: CLIENT_ID,
    client_secret: clientSecret,
    application_type: 'web',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: options['redirect-uri'].map(atSomePort),
    post_logout_redirect_uris: options['post-logout-redirect-uri'].map(atSomePort),
  };
}

function display() {
  return {
    client_id: DISPLAY_ID,
    client_name: 'The wall display',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: [DEVICE_GRANT, 'refresh_token'],
    response_types: [],
    redirect_uris: [],
  };
}

function features() {
  return {
    deviceFlow: {
      enabled: true,
      userCodeInputSource: async (ctx, form) => { ctx.body = codePage(form); },
      userCodeConfirmSource: async (ctx, form, asking, from, code) => {
        ctx.body = devicePage(form, asking.clientName, code);
      },
      successSource: async (ctx) => { ctx.body = deviceDonePage(); },
    },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: ownTokens },
    revocation: { enabled: true, allowedPolicy: ownTokens },
    resourceIndicators: {
      enabled: true,
      // No `resource` in a code exchange or refresh asks for the provider's own userinfo.
      defaultResource: async (ctx, forClient, oneOf) => oneOf?.[0],
      useGrantedResource: async () => false,
      getResourceServerInfo: async (ctx, resource) => {
        if (!audiences.has(resource)) {
          throw new errors.InvalidTarget();
        }
        return {
          scope: audiences.get(resource),
          audience: resource,
          accessTokenTTL: Number(options['access-token-seconds']),
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: async (ctx, form) => { ctx.body = signOutPage(form); },
      postLogoutSuccessSource: async (ctx) => { ctx.body = signedOutPage(); },
    },
  };
}

/** A client learns about its own tokens and ends its own tokens, nobody else's. */
async function ownTokens(ctx, asking, found) {
  return found.clientId === asking.clientId;
}

/** Lets `*` in a registered address stand for every port: a test binds port 0 after we started. */
function acceptAnyPort(provider) {
  const accepts = (registered) => (value) => registered.some((uri) => {
    const at = URL.parse(value);
    return at !== null && (uri === value || (at.port !== '' && uri === value.replace(`:${at.port}`, ':*')));
  });
  provider.Client.prototype.redirectUriAllowed = accepts(options['redirect-uri']);
  provider.Client.prototype.postLogoutRedirectUriAllowed = accepts(options['post-logout-redirect-uri']);
}

function keepLedger(provider) {
  provider.on('grant.success', (ctx) => {
    const { grant_type: grantType, resource } = ctx.oidc.params;
    if (grantType === 'refresh_token') {
      ledger.refreshes += 1;
      const audience = resource ?? 'none';
      ledger.refreshes_by_resource[audience] = (ledger.refreshes_by_resource[audience] ?? 0) + 1;
    } else {
      ledger[grantType === DEVICE_GRANT ? 'device_grants' : 'code_grants'] += 1;
    }
  });
  provider.on('grant.error', (ctx, error) => {
    if (error.error_detail === 'refresh token already used') {
      ledger.reuse_detected += 1;
    }
    count(error);
  });
  provider.on('grant.revoked', () => { ledger.grants_revoked += 1; });
  provider.on('end_session.success', () => { ledger.logouts += 1; });
  for (const event of ['authorization.error', 'device_authorization.error', 'server_error', 'revocation.error', 'introspection.error',
    'end_session.error', 'end_session_confirm.error', 'userinfo.error']) {
    provider.on(event, (ctx, error) => count(error));
  }
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.status === 200 && ctx.oidc?.route === 'revocation') {
      ledger.revocations += 1;
    } else if (ctx.status === 200 && ctx.oidc?.route === 'introspection') {
      ledger.introspections += 1;
    }
  });
}

function count(error) {
  ledger.errors += 1;
  const why = `${error.error ?? error.name}: ${error.error_detail ?? error.error_description ?? error.message}`;
  ledger.error_details[why] = (ledger.error_details[why] ?? 0) + 1;
}

/**
 * Signs in and consents in one step: at once with a `login_hint`, else through the page. Who is
 * signed in already is asked again only where a class or a recent sign-in is wanted.
 */
async function interact(provider, request, response) {
  const { params, prompt, session } = await provider.interactionDetails(request, response);
  const anew = prompt.reasons.some((reason) => reason === 'acr_values' || reason === 'max_age');
  if (anew && session?.accountId && request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(confirmPage(request.url, session.accountId));
    return;
  }
  const chosen = request.method === 'POST' ? await postedLogin(request) : params.login_hint ?? session?.accountId;
  if (!chosen) {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(signInPage(request.url));
    return;
  }
  const accountId = String(chosen).slice(0, 64);
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('openid offline_access profile email');
  for (const [resource, scope] of audiences) {
    grant.addResourceScope(resource, scope);
  }
  ledger[anew ? 'confirmations' : 'logins'] += 1;
  const acr = wantedClasses(params).find((wanted) => options.acr.includes(wanted));
  const shown = acr === undefined ? { amr: ['pwd'] } : { acr, amr: ['pwd', 'mfa'] };
  await provider.interactionFinished(request, response, {
    login: { accountId, remember: true, ...shown },
    consent: { grantId: await grant.save() },
  }, { mergeWithLastSubmission: false });
}

async function postedLogin(request) {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > FORM_LIMIT_BYTES) {
      throw new Error('the sign-in form is too long');
    }
  }
  return new URLSearchParams(body).get('login');
}

function refuse(response, error) {
  count(error);
  response.statusCode = error.statusCode ?? 500;
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(errorPage(error.message));
}
