// Node's own fetch reads proxy variables from version 24 on (and 22.21); before that undici's agent does.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 21) || major === 23) {
  const { setGlobalDispatcher, EnvHttpProxyAgent } = await import("undici");
  setGlobalDispatcher(new EnvHttpProxyAgent());
  globalThis.fetch = (await import("undici")).fetch;
}
const answer = await fetch(process.env.URL + "/echo", {
  method: "POST",
  body: JSON.stringify({ a: 1 }),
  headers: { Authorization: "Bearer " + process.env.API_KEY, "Content-Type": "application/json" },
});
if (!answer.ok) { console.error(answer.status, await answer.text()); process.exit(1); }
console.log(await answer.text());
