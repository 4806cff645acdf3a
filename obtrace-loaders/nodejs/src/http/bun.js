'use strict';
// Bun has a server and a `fetch` of its own, which tell nothing on channels.

const { ROOT_CONTEXT } = require('@opentelemetry/api');
const { headers, run, withSpan } = require('../context');
const { guard } = require('../debug');
const { parse } = require('../traceparent');
const { begin } = require('../span');
const { call, over } = require('./client');
const { describe, settle } = require('./server');

const SCOPE = 'obtrace.nodejs.bun';
const SERVER = 1;

function begun(input, options) {
  const request = typeof input === 'object' && input !== null && 'url' in input ? input : null;
  const url = new URL(request ? request.url : String(input));
  const given = new Headers((options && options.headers) || (request && request.headers) || undefined);
  if (!/^https?:$/.test(url.protocol) || given.has('traceparent')) return null;
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const span = call(SCOPE, (options && options.method) || (request && request.method) || 'GET', url.hostname.replace(/^\[|\]$/g, ''), port, url.href);
  const passed = headers(span);
  given.set('traceparent', passed.traceparent);
  if (passed.tracestate) given.set('tracestate', passed.tracestate);
  return { span, options: { ...options, headers: given } };
}

function wrapFetch() {
  const { fetch } = globalThis;
  const wrapped = function (input, options) {
    const state = guard('fetch', () => begun(input, options));
    if (!state) return fetch.call(this, input, options);
    return fetch.call(this, input, state.options).then(answer => {
      guard('fetch', () => over(state.span, answer.status, null));
      return answer;
    }, error => {
      guard('fetch', () => over(state.span, 0, error));
      throw error;
    });
  };
  globalThis.fetch = Object.assign(wrapped, fetch);
}

function served(request, server) {
  const { pathname, hostname, port, protocol } = new URL(request.url);
  const address = server && server.requestIP && server.requestIP(request);
  const span = begin(SCOPE, '', SERVER, parse(request.headers.get('traceparent'), request.headers.get('tracestate')) || undefined);
  describe(span, {
    method: request.method, scheme: protocol.slice(0, -1), version: '1.1', path: pathname, host: hostname, port: Number(port) || undefined,
    client: request.headers.get('x-forwarded-for') || (address && address.address), agent: request.headers.get('user-agent'),
  });
  return span;
}

function wrapHandler(handle) {
  return function (request, server) {
    const span = guard('Bun.serve', () => served(request, server));
    if (!span) return handle.call(this, request, server);
    const done = answer => {
      guard('Bun.serve', () => settle(span, undefined, answer && answer.status));
      return answer;
    };
    const failed = error => {
      span.recordException(error);
      guard('Bun.serve', () => settle(span, undefined, 500));
      throw error;
    };
    let answer;
    try {
      answer = run(withSpan(span, ROOT_CONTEXT), () => handle.call(this, request, server));
    } catch (error) {
      return failed(error);
    }
    return answer && typeof answer.then === 'function' ? answer.then(done, failed) : done(answer);
  };
}

function wrapServe() {
  const { serve } = Bun;
  Bun.serve = function (options) {
    const own = options && typeof options.fetch === 'function';
    return serve.call(this, own ? { ...options, fetch: wrapHandler(options.fetch) } : options);
  };
}

/** Begins to watch. */
function instrument() {
  guard('fetch', wrapFetch);
  guard('Bun.serve', wrapServe);
}

module.exports = { instrument };
