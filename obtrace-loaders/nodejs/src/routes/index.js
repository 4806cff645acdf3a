'use strict';
// The route of a request, told by the framework's own hook when it knows, or read from what the framework leaves on the request.

const ROUTE = Symbol('obtrace.route');

/** Says what the route of a request is: a template, or a function that gives it when the response is over. */
function tell(request, route) {
  if (request) request[ROUTE] = route;
}

const NEXT_META = Symbol.for('NextInternalRequestMeta');

function nextRoute(request) {
  const { match } = request[NEXT_META] || {};
  const page = match && match.definition && match.definition.pathname;
  return typeof page === 'string' ? page : undefined;
}

/** The route of a request whose response is over; undefined if nobody knows. */
function routeOf(request) {
  const told = request[ROUTE];
  const route = typeof told === 'function' ? told() : told;
  if (typeof route === 'string' && route) return route;
  const { route: express } = request;
  if (express && typeof express.path === 'string') return express.path;
  return nextRoute(request);
}

module.exports = { routeOf, tell };
