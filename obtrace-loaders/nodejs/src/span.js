'use strict';
// Spans as the OpenTelemetry API has them, and the tracer that makes them. Not the OpenTelemetry SDK: this one keeps what OTLP
// needs and nothing else, which is most of what a request costs.

const { trace } = require('@opentelemetry/api');
const clock = require('./clock');
const { id } = require('./ids');
const { active, run, withSpan } = require('./context');
const { ATTRIBUTES, EVENTS, LINKS, bounded, exception, type } = require('./limits');

const OK = 1;
const ERROR = 2;

/** How spans are made: which are kept, which kinds are told of, who makes them
 * ready when they end, who takes them then. */
const policy = { sampled: () => true, traced: null, ended: () => {}, take: () => {} };

/** Milliseconds since 1970 of the API's ways to say a time. */
function moment(time) {
  if (Array.isArray(time)) return time[0] * 1e3 + time[1] / 1e6;
  if (time instanceof Date) return time.getTime();
  // Small numbers are those of `performance.now()`.
  return time < 1e11 ? clock.wall(time) : time;
}

class Span {
  /** `parent`: the context it belongs to, if any. `told`: whether it is reported. */
  constructor(scope, name, kind, parent, told) {
    this.scope = scope;
    this.name = name;
    this.kind = kind;
    this.attributes = {};
    this.count = 0;
    this.events = null;
    this.links = null;
    this.status = 0;
    this.message = '';
    this.error = null;
    this.parentSpanId = '';
    this.context = this.identity(parent, told);
    this.noise = false;
    this.told = told && this.context.traceFlags === 1;
    this.began = clock.ticks();
    this.start = clock.wall(this.began);
    this.end_ = 0;
  }

  identity(parent, told) {
    // What is not told of does not stand between a parent and its children.
    if (parent && !told) return parent;
    if (parent) {
      this.parentSpanId = parent.spanId;
      return { traceId: parent.traceId, spanId: id(16), traceFlags: parent.traceFlags & 1, state: parent.state || '' };
    }
    const traceId = id(32);
    return { traceId, spanId: id(16), traceFlags: policy.sampled(traceId) ? 1 : 0, state: '' };
  }

  spanContext() {
    return this.context;
  }

  isRecording() {
    return this.told && this.end_ === 0;
  }

  setAttribute(key, value) {
    const kept = bounded(value);
    if (kept === undefined || this.end_ !== 0) return this;
    if (this.attributes[key] === undefined && ++this.count > ATTRIBUTES) return this;
    this.attributes[key] = kept;
    return this;
  }

  setAttributes(attributes) {
    for (const key of Object.keys(attributes || {})) this.setAttribute(key, attributes[key]);
    return this;
  }

  addEvent(name, attributes, time) {
    if (!this.isRecording()) return this;
    this.events = this.events || [];
    const timed = typeof attributes === 'number' || Array.isArray(attributes) || attributes instanceof Date;
    if (this.events.length < EVENTS) {
      const at = timed ? attributes : time;
      this.events.push({ name, at: at ? moment(at) : clock.wall(clock.ticks()), attributes: timed ? {} : limited(attributes) });
    }
    return this;
  }

  addLink(link) {
    if (!link || !link.context || !this.told) return this;
    this.links = this.links || [];
    if (this.links.length < LINKS) this.links.push({ context: link.context, attributes: limited(link.attributes) });
    return this;
  }

  addLinks(links) {
    for (const link of links || []) this.addLink(link);
    return this;
  }

  setStatus({ code, message }) {
    if (this.status === OK || this.end_ !== 0) return this;
    this.status = code;
    this.message = code === ERROR ? bounded(String(message || '')) : '';
    return this;
  }

  updateName(name) {
    this.name = name;
    return this;
  }

  recordException(error, time) {
    this.error = this.error || type(error);
    if (!this.isRecording()) return;
    this.events = this.events || [];
    if (this.events.length < EVENTS) this.events.push({ name: 'exception', at: time ? moment(time) : clock.wall(clock.ticks()), attributes: exception(error) });
  }

  /** Seconds since it began. */
  seconds() {
    return (clock.ticks() - this.began) / 1e3;
  }

  end(time) {
    if (this.end_ !== 0) return;
    const end = time === undefined ? this.start + (clock.ticks() - this.began) : moment(time);
    policy.ended(this, Math.max(0, end - this.start) / 1e3);
    this.end_ = Math.max(this.start, end);
    if (this.told) policy.take(this);
  }
}

function limited(attributes) {
  const kept = {};
  for (const key of Object.keys(attributes || {}).slice(0, ATTRIBUTES)) {
    const value = bounded(attributes[key]);
    if (value !== undefined) kept[key] = value;
  }
  return kept;
}

/** Begins a span below `parent` (the context of a span, local or remote), if any. */
function begin(scope, name, kind, parent) {
  return new Span(scope, name, kind, parent, policy.traced === null || policy.traced.has(kind));
}

/** A tracer of the OpenTelemetry API. */
class Tracer {
  constructor(scope) {
    this.scope = scope;
  }

  startSpan(name, options = {}, context = active()) {
    const above = options.root ? undefined : trace.getSpan(context);
    const parent = above && above.spanContext();
    const kind = options.kind || 0;
    const noise = NOISE.test(name);
    const told = (policy.traced === null || policy.traced.has(kind)) && !noise;
    const span = new Span(this.scope, name, kind, parent && parent.traceId ? parent : undefined, told);
    span.noise = noise;
    if (options.startTime !== undefined) {
      span.start = moment(options.startTime);
      span.began = clock.ticks() - (clock.wall(clock.ticks()) - span.start);
    }
    if (options.attributes) span.setAttributes(options.attributes);
    if (options.links) span.addLinks(options.links);
    return span;
  }

  startActiveSpan(name, ...words) {
    const work = words.pop();
    const [options = {}, context = active()] = words;
    const span = this.startSpan(name, options, context);
    return run(withSpan(span, context), () => work(span));
  }
}

// Connections are made in the pool, for whom they happen to be made, and GraphQL is parsed in memory: what is asked is what counts.
const NOISE = /(^|[.-])connect$|^graphql\.(parse|validate)$/;

const tracers = new Map();

/** The provider of the bundle's own copy of the API. */
const provider = {
  getTracer(name) {
    if (!tracers.has(name)) tracers.set(name, new Tracer(name));
    return tracers.get(name);
  },
};

/** Sets how spans are made from now on, and makes this the API's tracer. */
function register(wanted) {
  Object.assign(policy, wanted);
  trace.setGlobalTracerProvider(provider);
}

module.exports = { ERROR, begin, provider, register };
