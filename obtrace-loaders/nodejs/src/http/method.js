'use strict';
// Methods that may stand in names and metrics.

const KNOWN = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** Sets the method's attributes; gives the word for the span's name. */
function method(span, original) {
  const word = String(original).toUpperCase();
  if (KNOWN.has(word)) {
    span.attributes['http.request.method'] = word;
    return word;
  }
  span.attributes['http.request.method'] = '_OTHER';
  span.setAttribute('http.request.method_original', String(original));
  return 'HTTP';
}

module.exports = { method };
