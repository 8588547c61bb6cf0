// Perfetto's trace processor as its page runs it in a worker: requests on standard input, replies on standard output.
const fs = require("fs");
const { argv, stdin } = process;
const page = argv[2];

delete globalThis.process;
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = class {};
globalThis.location = { href: "http://localhost/" };
globalThis.XMLHttpRequest = class {
  open(method, url) { this.url = url; }
  send() { this.response = fs.readFileSync(`${page}/${this.url.split("/").pop()}`); }
};
(0, eval)(fs.readFileSync(`${page}/engine_bundle.js`, "utf8"));

const port = { postMessage: (reply) => fs.writeSync(1, reply) };
self.onmessage({ data: port });
stdin.on("data", (request) => port.onmessage({ data: new Uint8Array(request) }));
