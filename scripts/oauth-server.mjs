// A real OAuth2 server for the tests (oidc-provider, a certified implementation), and beside it a service that takes its
// tokens and shows everything it was sent.
//   node scripts/oauth-server.mjs MODULES PORT
// Clients are `app-1` to `app-9`; odd ones say who they are in a header, even ones in the form. Tokens of `app-9` live for
// three seconds. What a test may ask beside the token endpoint:
//   POST /test/revoke?client=ID    every token of the client ends
//   GET  /test/grants?client=ID    how many tokens the client got
//   ANY  /api/...                  the service: 401 without a token that lives, else what it was sent
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const library = join(modules, "node_modules/oidc-provider/lib/index.js");
const { default: Provider } = await import(pathToFileURL(library));

const client = (number) => ({
  client_id: `app-${number}`,
  client_secret: `Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0G${number}`,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: number % 2 ? "client_secret_basic" : "client_secret_post",
  scope: "read write",
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [1, 2, 3, 4, 5, 6, 7, 8, 9].map(client),
  scopes: ["read", "write"],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  ttl: { ClientCredentials: (_ctx, _token, client) => (client.clientId === "app-9" ? 3 : 600) },
});

const tokens = new Map();
provider.on("client_credentials.saved", (token) => {
  tokens.set(token.clientId, [...(tokens.get(token.clientId) ?? []), token]);
});

provider.use(async (ctx, next) => {
  const of = tokens.get(ctx.query.client) ?? [];
  if (ctx.path === "/test/revoke") {
    await Promise.all(of.map((token) => token.destroy()));
    ctx.body = {};
  } else if (ctx.path === "/test/grants") {
    ctx.body = { count: of.length };
  } else if (ctx.path.startsWith("/api/")) {
    const token = /^Bearer (\S+)$/.exec(ctx.get("authorization"))?.[1];
    const known = token && (await provider.ClientCredentials.find(token));
    ctx.status = known ? 200 : 401;
    ctx.body = { client: known?.clientId, scope: known?.scope, method: ctx.method, token, headers: ctx.headers };
  } else {
    await next();
  }
});

provider.listen(Number(port), "127.0.0.1");
