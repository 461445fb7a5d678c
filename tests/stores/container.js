// Makes a container in Azurite, which has no option for that. Usage: container.js ENDPOINT ACCOUNT KEY NAME
const crypto = require("node:crypto");
const [endpoint, account, key, name] = process.argv.slice(2);
const date = new Date().toUTCString();
const version = "2023-11-03";
const head = `x-ms-date:${date}\nx-ms-version:${version}\n/${account}/${account}/${name}\nrestype:container`;
const signature = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(`PUT${"\n".repeat(12)}${head}`).digest("base64");
const headers = { "x-ms-date": date, "x-ms-version": version, Authorization: `SharedKey ${account}:${signature}` };
fetch(`${endpoint}/${name}?restype=container`, { method: "PUT", headers }).then(async (answer) => {
    if (answer.status === 201) return;
    console.error(`${answer.status} ${await answer.text()}`);
    process.exit(1);
});
