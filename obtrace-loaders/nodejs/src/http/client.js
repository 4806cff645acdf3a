'use strict';
// Requests that go out by `http` and `https`.

const channels = require('diagnostics_channel');
const { errorMonitor } = require('events');
const http = require('http');
const https = require('https');
const Module = require('module');
const { active, activeSpan, headers, run } = require('../context');
const { guard } = require('../debug');
const { Histogram, SECONDS } = require('../metrics');
const { ERROR, begin } = require('../span');
const { type } = require('../limits');
const { CONTEXT } = require('./server');
const { method } = require('./method');
const url = require('./url');

const CLIENT = 2;
const SCOPE = 'obtrace.nodejs.http';
const CALL = Symbol('obtrace.call');
const ELSEWHERE = !!(process.versions.bun || process.versions.deno);
const DEFAULT_PORT = { http: 80, https: 443 };

let durations = null;

/** The histogram of calls by whatever client. */
function measured(span, seconds) {
  const it = span.attributes;
  const [word, host, port, status, error] = [it['http.request.method'], it['server.address'], it['server.port'], it['http.response.status_code'], it['error.type']];
  durations.record(seconds, `${word} ${status} ${error} ${port} ${host}`, () => ({
    'http.request.method': word, 'server.address': host, 'server.port': port, 'http.response.status_code': status, 'error.type': error,
  }));
}

/** Begins the span of a call, whatever the client. */
function call(scope, word, address, port, text) {
  const above = activeSpan();
  const span = begin(scope, '', CLIENT, above && above.spanContext());
  span.name = method(span, word);
  span.setAttribute('server.address', address);
  if (port) span.attributes['server.port'] = port;
  if (span.told) span.setAttribute('url.full', url.full(text));
  return span;
}

/** Ends it: with an answer's status, or with what went wrong. */
function over(span, status, error) {
  if (span.end_ !== 0) return;
  const { attributes } = span;
  if (status) attributes['http.response.status_code'] = status;
  if (error) {
    span.recordException(error);
    attributes['error.type'] = type(error);
  } else if (status >= 400 || !status) {
    attributes['error.type'] = status ? String(status) : 'aborted';
  }
  if (attributes['error.type']) span.status = ERROR;
  measured(span, span.seconds());
  span.end();
}

function begun(request, scheme) {
  const [host, port] = url.authority(request.getHeader('host') || request.host);
  const name = host || request.host || 'localhost';
  const shown = name.includes(':') ? `[${name}]` : name;
  const text = `${scheme}://${shown}${port ? `:${port}` : ''}${request.path.startsWith('/') ? request.path : `/${request.path}`}`;
  const span = call(SCOPE, request.method, name, port || DEFAULT_PORT[scheme], text);
  if (!request.headersSent) {
    const passed = headers(span);
    request.setHeader('traceparent', passed.traceparent);
    if (passed.tracestate) request.setHeader('tracestate', passed.tracestate);
  }
  request[CALL] = { span, status: 0 };
}

function traced(request, scheme) {
  // A call that has a context of its own is somebody else's to tell of.
  if (request[CALL] !== undefined || request.getHeader('traceparent') !== undefined) return;
  request[CONTEXT] = active();
  begun(request, scheme);
  if (!ELSEWHERE) followUnseen(request);
}

function wrap(library, scheme) {
  const { request } = library;
  library.request = function (...words) {
    const made = request.apply(this, words);
    guard('a call', () => traced(made, scheme));
    return made;
  };
  library.get = function (...words) {
    const made = library.request(...words);
    made.end();
    return made;
  };
  for (const name of ['request', 'get']) Object.defineProperty(library[name], 'name', { value: name });
}

function answered(request, answer) {
  const state = request[CALL];
  if (state === undefined) return;
  state.status = answer.statusCode;
  state.span.attributes['network.protocol.version'] = answer.httpVersion;
  answer[CONTEXT] = request[CONTEXT];
  // `close` alone makes nothing flow.
  answer.once('close', () => guard('an answer', () => over(state.span, state.status, answer.complete ? null : answer.errored)));
}

/** A call that is over without an answer: what took the connection over (an upgrade), or nothing at all. */
function closed(request) {
  const { span, status } = request[CALL];
  if (!status) over(span, request.res ? request.res.statusCode : 0, null);
}

function failed(request, error) {
  const { span, status } = request[CALL];
  over(span, status, error);
}

/** Node.js tells of answers, and keeps the context of who called. Nothing of ours is in the stack of what its listeners throw, and
 * an error that nobody listens to stays one. */
function followUnseen(request) {
  request.once(errorMonitor, error => guard('a call', () => failed(request, error)));
  request.once('close', () => guard('a call', () => closed(request)));
}

function seen(request, event, word) {
  if (event === 'response') answered(request, word);
  else if (event === 'upgrade' || event === 'connect') over(request[CALL].span, word.statusCode, null);
  else if (event === 'error') failed(request, word);
  else if (event === 'close') closed(request);
}

/** Other runtimes: all events come by `emit`. */
function byEmit() {
  const { emit } = http.ClientRequest.prototype;
  http.ClientRequest.prototype.emit = function (event, ...words) {
    if (this[CALL] === undefined) return emit.call(this, event, ...words);
    guard('a call', () => seen(this, event, words[0]));
    return run(this[CONTEXT], () => emit.call(this, event, ...words));
  };
}

/** Begins to watch calls. */
function instrument() {
  durations = new Histogram(SCOPE, 'http.client.request.duration', 's', 'Duration of HTTP client requests.', SECONDS);
  wrap(http, 'http');
  wrap(https, 'https');
  if (ELSEWHERE) byEmit();
  else channels.channel('http.client.response.finish').subscribe(({ request, response }) => guard('a call', () => answered(request, response)));
  Module.syncBuiltinESMExports();
}

module.exports = { call, instrument, over };
