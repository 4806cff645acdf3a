'use strict';
// Requests that come in, wherever the server was made.

const channels = require('diagnostics_channel');
const http = require('http');
const https = require('https');
const { ROOT_CONTEXT } = require('@opentelemetry/api');
const { enter, nowhere, run, withSpan } = require('../context');
const { guard } = require('../debug');
const { Histogram, SECONDS } = require('../metrics');
const { parse } = require('../traceparent');
const { ERROR, begin } = require('../span');
const { routeOf } = require('../routes');
const { bounded } = require('../limits');
const { method } = require('./method');
const url = require('./url');

const SERVER = 1;
const SCOPE = 'obtrace.nodejs.http';
const SPAN = Symbol('obtrace.span');
const CONTEXT = Symbol('obtrace.context');
const REQUEST = Symbol('obtrace.request');

let durations = null;

/** Names the span of a request and says what it is about. */
function describe(span, { method: word, scheme, version, path, host, port, client, agent }) {
  const { attributes } = span;
  span.word = method(span, word);
  span.name = span.word;
  attributes['url.scheme'] = scheme;
  attributes['network.protocol.version'] = version;
  // The rest is for those who look at the span; metrics have no use for it.
  if (!span.told) return;
  attributes['url.path'] = bounded(path);
  if (host) attributes['server.address'] = bounded(host);
  if (port) attributes['server.port'] = port;
  if (client) attributes['client.address'] = bounded(client.split(',', 1)[0].trim());
  if (agent) attributes['user_agent.original'] = bounded(agent);
}

function start(request) {
  const { headers, socket } = request;
  const span = begin(SCOPE, '', SERVER, parse(headers.traceparent, headers.tracestate) || undefined);
  const [host, port] = url.authority(headers.host);
  describe(span, {
    method: request.method, scheme: socket.encrypted ? 'https' : 'http', version: request.httpVersion, path: url.path(request.url), host, port,
    client: headers['x-forwarded-for'] || socket.remoteAddress, agent: headers['user-agent'],
  });
  return span;
}

function measured(span, seconds) {
  const it = span.attributes;
  const [word, route, status, error] = [it['http.request.method'], it['http.route'], it['http.response.status_code'], it['error.type']];
  const [scheme, version] = [it['url.scheme'], it['network.protocol.version']];
  durations.record(seconds, `${word} ${status} ${error} ${scheme} ${version} ${route}`, () => ({
    'http.request.method': word, 'url.scheme': scheme, 'network.protocol.version': version, 'http.route': route,
    'http.response.status_code': status, 'error.type': error,
  }));
}

/** Ends the span of a request, by its route and the answer's status, if there are any. */
function settle(span, route, status) {
  const { attributes } = span;
  if (route) {
    attributes['http.route'] = bounded(route);
    span.name = `${span.word} ${attributes['http.route']}`;
  }
  if (status) attributes['http.response.status_code'] = status;
  if (status >= 500 || (!status && span.error)) {
    span.status = ERROR;
    attributes['error.type'] = span.error || String(status);
  }
  measured(span, span.seconds());
  span.end();
}

/** Events of requests and responses run in the context of their request, whoever made them happen. `after` is called before each. */
function carry(prototype, after) {
  const { emit } = prototype;
  prototype.emit = function (event, ...words) {
    const context = this[CONTEXT];
    if (context === undefined) return emit.call(this, event, ...words);
    if (after) after(this, event);
    return run(context, () => emit.call(this, event, ...words));
  };
}

/** The same without a frame of ours in the stacks of what listeners throw: who looks `emit` up is about to call it. Node.js keeps most
 * contexts itself; what has none (the parser of a connection) is given its request's for the rest of this turn of the event loop. */
function carryUnseen(prototype, before) {
  const { emit } = prototype;
  Object.defineProperty(prototype, 'emit', {
    configurable: true,
    get() {
      const context = this[CONTEXT];
      if (context === undefined) return emit;
      if (before) before(this);
      if (nowhere()) enter(context);
      return emit;
    },
    set(value) {
      Object.defineProperty(this, 'emit', { configurable: true, enumerable: true, value, writable: true });
    },
  });
}

function ended(response) {
  const span = response[SPAN];
  if (span === undefined) return;
  response[SPAN] = undefined;
  guard('the end of a request', () => settle(span, guard('a route', () => routeOf(response[REQUEST])), response.headersSent ? response.statusCode : undefined));
}

/** The span of a server's request, for those who know more about it. */
function spanOf(request) {
  const context = request && request[CONTEXT];
  return context && context.span;
}

function serve(request, response) {
  const span = start(request);
  const context = withSpan(span, ROOT_CONTEXT);
  request[CONTEXT] = context;
  response[CONTEXT] = context;
  response[SPAN] = span;
  response[REQUEST] = request;
  return context;
}

/** Node.js tells of a request right before it is emitted, so that its context can be entered without a frame of ours in the
 * application's stack traces. */
function byChannel() {
  channels.channel('http.server.request.start').subscribe(({ request, response }) => {
    const context = guard('a request', () => serve(request, response));
    if (context) enter(context);
  });
  channels.channel('http.server.response.finish').subscribe(({ response }) => ended(response));
  carryUnseen(http.IncomingMessage.prototype);
  // Whoever hangs up leaves a response that is destroyed, and never finished.
  carryUnseen(http.ServerResponse.prototype, response => response.destroyed && ended(response));
}

/** Other runtimes tell nothing: there `emit` of the servers is what all requests come by. Deno's servers are of a class of their own. */
function byEmit() {
  carry(http.IncomingMessage.prototype);
  carry(http.ServerResponse.prototype, (response, event) => (event === 'close' || event === 'finish') && ended(response));
  for (const prototype of new Set([http.Server.prototype, https.Server.prototype, Object.getPrototypeOf(http.createServer())])) {
    const { emit } = prototype;
    prototype.emit = function (event, request, response, ...more) {
      if (event !== 'request' || !request || !response || request[CONTEXT] !== undefined) return emit.apply(this, arguments);
      const context = guard('a request', () => serve(request, response));
      if (context === undefined) return emit.apply(this, arguments);
      return run(context, () => emit.call(this, event, request, response, ...more));
    };
  }
}

/** Begins to watch servers. */
function instrument() {
  durations = new Histogram(SCOPE, 'http.server.request.duration', 's', 'Duration of HTTP server requests.', SECONDS);
  if (process.versions.bun || process.versions.deno) byEmit();
  else byChannel();
}

module.exports = { CONTEXT, describe, instrument, settle, spanOf };
