'use strict';
// Stands in for `@opentelemetry/instrumentation` in the bundle: the same base class for the instrumentations, over our own hook.
// So an instrumentation is loaded when the application loads its library, and nothing resolves modules a second time.

const { metrics } = require('@opentelemetry/api');
const { provider } = require('../span');
const { satisfies } = require('./version');

const UNWRAP = Symbol('obtrace.original');

/** Whether a function is one of our wrappers. */
const isWrapped = work => typeof work === 'function' && work[UNWRAP] !== undefined;

function define(target, name, value) {
  Object.defineProperty(target, name, { configurable: true, enumerable: Object.prototype.propertyIsEnumerable.call(target, name), writable: true, value });
}

class InstrumentationBase {
  constructor(name, version, config) {
    this.instrumentationName = name;
    this._config = { enabled: true, ...config };
    this._diag = { debug() {}, error() {}, info() {}, verbose() {}, warn() {} };
    this.meter = metrics.getMeter(name, version);
    this.tracer = provider.getTracer(`obtrace.nodejs.${name.slice(name.lastIndexOf('instrumentation-') + 16)}`);
    this._updateMetricInstruments();
    const found = this.init() || [];
    this.modules = Array.isArray(found) ? found : [found];
  }

  _updateMetricInstruments() {}

  getConfig() {
    return this._config;
  }

  setConfig(config) {
    this._config = { enabled: true, ...config };
  }

  getModuleDefinitions() {
    return this.modules;
  }

  isEnabled() {
    return true;
  }

  _wrap(target, name, wrapper) {
    const original = target && target[name];
    if (typeof original !== 'function') return undefined;
    const wrapped = wrapper(original, name);
    Object.defineProperty(wrapped, UNWRAP, { configurable: true, value: original });
    define(target, name, wrapped);
    return wrapped;
  }

  _unwrap(target, name) {
    if (target && isWrapped(target[name])) define(target, name, target[name][UNWRAP]);
  }

  _massWrap(targets, names, wrapper) {
    for (const target of [targets].flat()) for (const name of names) this._wrap(target, name, wrapper);
  }

  _massUnwrap(targets, names) {
    for (const target of [targets].flat()) for (const name of names) this._unwrap(target, name);
  }

  _runSpanCustomizationHook() {}

  /** The exports of a file as they are from now on. `file`: the path within the package; `main`: whether it is what
   * `require(name)` gives. */
  loaded(name, file, main, version, exports) {
    let current = exports;
    for (const module of this.modules.filter(it => it.name === name)) {
      const names = [`${name}/${file}`, `${name}/${file}`.replace(/\.[cm]?js$/, '')];
      for (const it of (module.files || []).filter(one => names.includes(one.name) && satisfies(version, one.supportedVersions))) {
        current = it.patch(current, version) || current;
      }
      if (main && module.patch && satisfies(version, module.supportedVersions)) current = module.patch(current, version) || current;
    }
    return current;
  }
}

class InstrumentationNodeModuleDefinition {
  constructor(name, supportedVersions, patch, unpatch, files) {
    Object.assign(this, { name, supportedVersions, patch, unpatch, files: files || [] });
  }
}

class InstrumentationNodeModuleFile {
  constructor(name, supportedVersions, patch, unpatch) {
    Object.assign(this, { name, supportedVersions, patch, unpatch });
  }
}

/** Calls `work` and then `finish` with what it threw or gave. */
function safeExecuteInTheMiddle(work, finish, swallow) {
  let error;
  let result;
  try {
    result = work();
  } catch (thrown) {
    error = thrown;
  }
  finish(error, result);
  if (error && !swallow) throw error;
  return result;
}

/** The same for what gives a promise. */
async function safeExecuteInTheMiddleAsync(work, finish, swallow) {
  let error;
  let result;
  try {
    result = await work();
  } catch (thrown) {
    error = thrown;
  }
  await finish(error, result);
  if (error && !swallow) throw error;
  return result;
}

module.exports = {
  InstrumentationBase, InstrumentationNodeModuleDefinition, InstrumentationNodeModuleFile, isWrapped, safeExecuteInTheMiddle, safeExecuteInTheMiddleAsync,
};
