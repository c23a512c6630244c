"use strict";
// Omniboard, kept to this machine. As published it listens on every interface, takes the next port when its own is
// busy, and lets any web page that a user has open read, change and delete runs (CORS "*", no check of Host or Origin).
// This file starts the published server unchanged and puts a guard before it.
//
// PORT: the only port it may take. MONGO_URI: the database. OMNIBOARD_NAMES: host names, comma-separated, under which
// a proxy offers it, besides 127.0.0.1 and localhost. OMNIBOARD_LISTEN: an address other than 127.0.0.1, where only a
// proxy reaches it. MONGO_PASSWORD_FILE: the password that MONGO_URI leaves out.

const fs = require("fs");
const http = require("http");
const net = require("net");
const path = require("path");

const HOST = process.env.OMNIBOARD_LISTEN || "127.0.0.1";
const PORT = Number(process.env.PORT);
const NAMES = (process.env.OMNIBOARD_NAMES || "").split(",").filter(Boolean);
const HOSTS = new Set([`127.0.0.1:${PORT}`, `localhost:${PORT}`, ...NAMES]);
const PREVIEW = /\/files\/preview\//i; // the server's own paths do not mind case
const PREVIEW_POLICY = "sandbox allow-popups allow-top-navigation-by-user-activation";

function refusal(request) {
  if (!HOSTS.has(request.headers.host)) return "unknown host name"; // DNS rebinding
  const origin = request.headers.origin;
  if (origin && !HOSTS.has(origin.replace(/^https?:\/\//, ""))) return "request from another site";
  return "";
}

function guarded(handler) {
  return (request, response) => {
    const reason = refusal(request);
    if (reason) {
      response.writeHead(403, { "Content-Type": "text/plain" });
      response.end(`${reason}\n`);
      return;
    }
    const setHeader = response.setHeader;
    response.setHeader = function (name, value) {
      return /^access-control-/i.test(name) ? this : setHeader.call(this, name, value);
    };
    delete request.headers["x-http-method-override"]; // the server would take a POST for the DELETE that it names
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
    awaitFile(request, response);
    if (PREVIEW.test(request.url)) response.setHeader("Content-Security-Policy", PREVIEW_POLICY);
    handler(request, response);
  };
}

// As published, the server ends when it is asked for a file that is not there. Here that request gets a 404.
const waiting = new Map(); // the responses that a file's id is awaited by

function awaitFile(request, response) {
  const [, written] = /\/files\/[a-z]+\/([0-9a-f]{24})/i.exec(request.url) || [];
  if (!written) return;
  const id = written.toLowerCase(); // as the error has it
  waiting.set(id, (waiting.get(id) || new Set()).add(response));
  response.on("close", () => {
    waiting.get(id).delete(response);
    if (!waiting.get(id).size) waiting.delete(id);
  });
}

process.on("uncaughtException", (error) => {
  const [, id] = /^file with id ([0-9a-f]{24}) not opened/.exec(error.message) || [];
  if (!id) {
    console.error(error);
    process.exit(1);
  }
  for (const response of waiting.get(id) || []) {
    if (!response.headersSent) response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("there is no such file\n");
  }
});

const createServer = http.createServer;
http.createServer = (handler) => createServer(guarded(handler));

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, started) {
  this.prependListener("error", (error) => {
    console.error(`cannot listen on ${HOST}:${PORT}: ${error.code}`);
    process.exit(1);
  });
  return listen.call(this, { port: PORT, host: HOST }, started);
};

if (process.env.MONGO_PASSWORD_FILE) {
  const password = encodeURIComponent(fs.readFileSync(process.env.MONGO_PASSWORD_FILE, "utf8").trim());
  process.env.MONGO_URI = process.env.MONGO_URI.replace("@", `:${password}@`);
}

process.env.NODE_ENV = "production";
process.env.OMNIBOARD_CONFIG = path.join(__dirname, "databases.js");
require("./dist/index");
