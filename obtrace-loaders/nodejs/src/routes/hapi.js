'use strict';
// hapi: an extension of every server sees requests that have their route.

const { guard } = require('../debug');
const { watch } = require('../hook');
const { spanOf } = require('../http/server');
const { tell } = require('.');

function wrap(exports) {
  const make = exports.server;
  const made = function (...words) {
    const server = make.apply(this, words);
    guard('hapi', () => server.ext('onPreAuth', (request, h) => {
      guard('hapi', () => tell(request.raw.req, request._route && request._route.special ? undefined : request.route.path));
      return h.continue;
    }));
    guard('hapi', () => server.ext('onPreResponse', (request, h) => {
      const { response } = request;
      const span = response && response.isBoom && response.output.statusCode >= 500 && spanOf(request.raw.req);
      if (span) guard('hapi', () => span.recordException(response));
      return h.continue;
    }));
    return server;
  };
  exports.server = made;
  exports.Server = made;
}

/** Begins to wait for hapi. */
function instrument() {
  watch('@hapi/hapi', (exports, file) => {
    if (file === 'lib/index.js') wrap(exports);
  });
}

module.exports = { instrument };
