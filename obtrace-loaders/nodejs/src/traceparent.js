'use strict';
// W3C Trace Context, sections 3.2 and 3.3, and the propagator that the instrumentations ask for.

const FORM = /^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*$/;
const ZERO = /^0+$/;
// What a header may have. A message can bring anything, and an application's call must not fail by it.
const STATE = /^[\t\x20-\x7e]{1,512}$/;

/** The context of a `traceparent` and a `tracestate`; null if it is not valid. */
function parse(header, state) {
  const found = typeof header === 'string' && FORM.exec(header);
  if (!found) return null;
  const [, version, traceId, spanId, flags, more] = found;
  if (version === 'ff' || (version === '00' && more) || ZERO.test(traceId) || ZERO.test(spanId)) return null;
  return { traceId, spanId, traceFlags: parseInt(flags, 16) & 1, isRemote: true, state: typeof state === 'string' && STATE.test(state) ? state : '' };
}

/** The `traceparent` of a context. */
function format(context) {
  return `00-${context.traceId}-${context.spanId}-0${context.traceFlags & 1}`;
}

module.exports = { parse, format };
