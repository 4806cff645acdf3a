'use strict';
// Express 4 and 5 (and the package router): a route's path below the paths that its routers are mounted at.

const { guard } = require('../debug');
const { watch } = require('../hook');
const { spanOf } = require('../http/server');
const { tell } = require('.');

// Where a router is mounted at a path with parameters: the path that was asked for, and the template that it came from.
const MOUNT = Symbol('obtrace.mount');
const CHOSEN = Symbol('obtrace.route.chosen');
const PLAIN = /^[\w\-./~]*$/;

function text(path) {
  if (typeof path === 'string') return path;
  if (Array.isArray(path)) return path.length === 1 ? text(path[0]) : `(${path.map(text).join('|')})`;
  return path instanceof RegExp ? path.source : String(path);
}

/** The template of a base URL, by what is known of the mounts above. */
function template(request, base) {
  const mount = request[MOUNT];
  return mount && base.startsWith(mount.actual) ? mount.template + base.slice(mount.actual.length) : base;
}

function joined(base, path) {
  const whole = `${base.replace(/\/$/, '')}${path.startsWith('/') || !path ? path : `/${path}`}`;
  return whole.length > 1 && whole.endsWith('/') ? whole.slice(0, -1) : whole || '/';
}

/** Express and its router set `request.route` when a route is chosen. Seeing that, rather than wrapping what the route calls, keeps
 * our frames out of the application's stack traces. */
function seeRoute(prototype) {
  Object.defineProperty(prototype, 'route', {
    configurable: true,
    enumerable: true,
    get() {
      return this[CHOSEN];
    },
    set(route) {
      Object.defineProperty(this, CHOSEN, { configurable: true, value: route, writable: true });
      if (route) guard('express', () => tell(this, joined(template(this, this.baseUrl || ''), text(route.path))));
    },
  });
}

/** What a base URL was below which a layer was mounted at `path`: as many segments less, where their number is fixed. */
function above(actual, path, mount) {
  if (/[*{?(+\\]/.test(path)) return mount ? mount.actual : '';
  const count = path.split('/').filter(Boolean).length;
  return actual.split('/').slice(0, -count).join('/');
}

/** A layer whose path has parameters says so while what is below it works. */
function mount(layer, method, path) {
  const handle = layer[method];
  if (typeof handle !== 'function') return;
  layer[method] = function (request, response, next) {
    const before = request[MOUNT];
    const actual = request.baseUrl || '';
    request[MOUNT] = { actual, template: joined(template(request, above(actual, path, before)), path) };
    return handle.call(this, request, response, function (...words) {
      request[MOUNT] = before;
      return next.apply(this, words);
    });
  };
}

function wrapUse(Router, method) {
  const target = typeof Router.use === 'function' ? Router : Router.prototype;
  const { use } = target;
  target.use = function (...words) {
    const before = this.stack ? this.stack.length : 0;
    const result = use.apply(this, words);
    const [path] = words;
    const templated = typeof path === 'string' ? !PLAIN.test(path) : Array.isArray(path) ? path.some(it => typeof it !== 'function') : path instanceof RegExp;
    if (templated) guard('express', () => this.stack.slice(before).forEach(layer => mount(layer, method, text(path))));
    return result;
  };
}

/** Errors that nobody handled end in the package finalhandler. */
function seeErrors(finalhandler) {
  return function (request, ...words) {
    const done = finalhandler.call(this, request, ...words);
    return error => {
      const span = error && spanOf(request);
      if (span && !(error.status < 500 || error.statusCode < 500)) guard('express', () => span.recordException(error));
      return done(error);
    };
  };
}

/** Begins to wait for Express. */
function instrument() {
  watch('express', (exports, file) => {
    if (file === 'lib/request.js') seeRoute(exports);
    if (file === 'lib/router/index.js') wrapUse(exports, 'handle_request');
  });
  watch('router', (exports, file) => {
    if (file === 'index.js') wrapUse(exports, 'handleRequest');
  });
  watch('finalhandler', (exports, file) => (file === 'index.js' ? seeErrors(exports) : undefined));
}

module.exports = { instrument };
