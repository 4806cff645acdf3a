'use strict';
// Fastify tells on a channel that an instance is made; a hook of it knows the route.

const channels = require('diagnostics_channel');
const { guard } = require('../debug');
const { spanOf } = require('../http/server');
const { tell } = require('.');

function hooked({ fastify }) {
  fastify.addHook('onRequest', (request, reply, done) => {
    guard('fastify', () => tell(request.raw, request.is404 ? undefined : (request.routeOptions || {}).url || request.routerPath));
    done();
  });
  fastify.addHook('onError', (request, reply, error, done) => {
    guard('fastify', () => {
      const span = spanOf(request.raw);
      if (span && !(error.statusCode < 500)) span.recordException(error);
    });
    done();
  });
}

/** Begins to listen. */
function instrument() {
  channels.channel('fastify.initialization').subscribe(message => guard('fastify', () => hooked(message)));
}

module.exports = { instrument };
