'use strict';
// Koa: its routers leave the matched path on the context.

const { guard } = require('../debug');
const { watch } = require('../hook');
const { spanOf } = require('../http/server');
const { tell } = require('.');

function wrap(Application) {
  const { createContext } = Application.prototype;
  Application.prototype.createContext = function (request, response) {
    const context = createContext.call(this, request, response);
    guard('koa', () => tell(request, () => {
      const route = context._matchedRoute || context.routerPath;
      return route instanceof RegExp ? route.source : route;
    }));
    guard('koa', () => seeErrors(context, request));
    return context;
  };
}

/** Koa hands errors that nobody handled to the context. */
function seeErrors(context, request) {
  const { onerror } = context;
  Object.defineProperty(context, 'onerror', {
    configurable: true,
    writable: true,
    value(error) {
      const span = error && !(error.status < 500) && spanOf(request);
      if (span) guard('koa', () => span.recordException(error));
      return onerror.call(this, error);
    },
  });
}

/** Begins to wait for Koa. */
function instrument() {
  watch('koa', (exports, file) => {
    const Application = exports && (exports.default || exports);
    if (file === 'lib/application.js' && typeof Application === 'function') wrap(Application);
  });
}

module.exports = { instrument };
