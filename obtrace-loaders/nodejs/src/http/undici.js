'use strict';
// `fetch` and the package undici tell what they do on channels of their own.

const channels = require('diagnostics_channel');
const { headers } = require('../context');
const { guard } = require('../debug');
const { call, over } = require('./client');

const SCOPE = 'obtrace.nodejs.undici';
const calls = new WeakMap();

function has(request, name) {
  const { headers: list } = request;
  if (typeof list === 'string') return list.toLowerCase().includes(`${name}:`);
  return Array.isArray(list) && list.some((item, at) => at % 2 === 0 && String(item).toLowerCase() === name);
}

function created({ request }) {
  if (request.method === 'CONNECT' || has(request, 'traceparent')) return;
  const origin = new URL(String(request.origin));
  const port = Number(origin.port) || (origin.protocol === 'https:' ? 443 : 80);
  const span = call(SCOPE, request.method, origin.hostname.replace(/^\[|\]$/g, ''), port, `${origin.protocol}//${origin.host}${request.path}`);
  const passed = headers(span);
  request.addHeader('traceparent', passed.traceparent);
  if (passed.tracestate) request.addHeader('tracestate', passed.tracestate);
  calls.set(request, { span, status: 0 });
}

function answered({ request, response }) {
  const state = calls.get(request);
  if (state) state.status = response.statusCode;
}

function ended({ request, error }) {
  const state = calls.get(request);
  if (state) over(state.span, state.status, error || null);
  calls.delete(request);
}

/** Begins to listen. */
function instrument() {
  const listen = (name, work) => channels.channel(name).subscribe(message => guard(name, () => work(message)));
  listen('undici:request:create', created);
  listen('undici:request:headers', answered);
  listen('undici:request:trailers', ended);
  listen('undici:request:error', ended);
}

module.exports = { instrument };
