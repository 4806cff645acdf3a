'use strict';
// What is being worked on: AsyncLocalStorage as the context manager of the OpenTelemetry API, and its propagator.

const { AsyncLocalStorage } = require('async_hooks');
const { EventEmitter } = require('events');
const { ROOT_CONTEXT, context: api, propagation, trace } = require('@opentelemetry/api');
const { format, parse } = require('./traceparent');

const storage = new AsyncLocalStorage();
// The API keeps a context's span under this key, and tells nobody.
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN');

/** A context that differs from `rest` by its span; the API's own copies a Map for each. */
class SpanContext {
  constructor(span, rest) {
    this.span = span;
    this.rest = rest;
  }

  getValue(key) {
    return key === SPAN ? this.span : this.rest.getValue(key);
  }

  setValue(key, value) {
    return key === SPAN ? new SpanContext(value, this.rest) : new ValueContext(key, value, this);
  }

  deleteValue(key) {
    return key === SPAN ? this.rest.deleteValue(SPAN) : this.setValue(key, undefined);
  }
}

/** A context with one more value. */
class ValueContext extends SpanContext {
  constructor(key, value, rest) {
    super(rest.getValue(SPAN), rest);
    this.key = key;
    this.value = value;
  }

  getValue(key) {
    return key === this.key ? this.value : super.getValue(key);
  }

  setValue(key, value) {
    return key === this.key ? new ValueContext(key, value, this.rest) : key === SPAN ? new SpanContext(value, this) : new ValueContext(key, value, this);
  }
}

/** The context at hand. */
function active() {
  return storage.getStore() || ROOT_CONTEXT;
}

/** Whether there is none at hand. */
function nowhere() {
  return storage.getStore() === undefined;
}

/** The span at hand, if any. */
function activeSpan() {
  const store = storage.getStore();
  return store && store.getValue(SPAN);
}

/** `base` with this span. */
function withSpan(span, base = active()) {
  return new SpanContext(span, base);
}

/** Calls `work` in a context. */
function run(context, work) {
  return storage.run(context, work);
}

/** Makes a context that of what follows in this turn of the event loop, and of what that begins. */
function enter(context) {
  storage.enterWith(context);
}

/** Calls `work` outside of any. */
function outside(work) {
  return storage.run(undefined, work);
}

const BOUND = Symbol('obtrace.bound');

/** An emitter whose later listeners run in this context. */
function bindEmitter(context, emitter) {
  if (emitter[BOUND]) return emitter;
  Object.defineProperty(emitter, BOUND, { value: true });
  const { emit } = emitter;
  emitter.emit = function (...words) {
    return storage.run(context, () => emit.apply(this, words));
  };
  return emitter;
}

const manager = {
  active,
  with: (context, work, self, ...words) => storage.run(context, () => work.apply(self, words)),
  bind(context, target) {
    if (target instanceof EventEmitter) return bindEmitter(context, target);
    if (typeof target !== 'function') return target;
    const bound = function (...words) {
      return storage.run(context, () => target.apply(this, words));
    };
    Object.defineProperty(bound, 'length', { value: target.length, configurable: true });
    return bound;
  },
  enable: () => manager,
  disable: () => manager,
};

/** The headers that pass a span on; null if there is none. */
function headers(span) {
  const context = span && span.spanContext();
  return context && { traceparent: format(context), tracestate: context.state || null };
}

const propagator = {
  inject(context, carrier, setter) {
    const passed = headers(context.getValue(SPAN));
    if (!passed) return;
    setter.set(carrier, 'traceparent', passed.traceparent);
    if (passed.tracestate) setter.set(carrier, 'tracestate', passed.tracestate);
  },
  extract(context, carrier, getter) {
    const text = value => (Array.isArray(value) ? text(value[0]) : Buffer.isBuffer(value) ? value.toString() : value);
    const found = parse(text(getter.get(carrier, 'traceparent')), text(getter.get(carrier, 'tracestate')));
    return found ? withSpan(trace.wrapSpanContext(found), context) : context;
  },
  fields: () => ['traceparent', 'tracestate'],
};

/** Makes this the context of the bundle's own copy of the API. */
function register() {
  api.setGlobalContextManager(manager);
  propagation.setGlobalPropagator(propagator);
}

module.exports = { active, activeSpan, enter, headers, nowhere, outside, register, run, withSpan };
