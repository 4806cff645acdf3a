'use strict';
// The frameworks whose routes are known by hooks of our own.

/** Begins to wait for them. */
function instrument() {
  require('./express').instrument();
  require('./koa').instrument();
  require('./fastify').instrument();
  require('./hapi').instrument();
}

module.exports = { instrument };
