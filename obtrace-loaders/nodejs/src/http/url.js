'use strict';
// What of a URL may be told.

/** A client's `url.full`: without user information and fragment, the query's values replaced. */
function full(text) {
  let url = text.split('#', 1)[0];
  const begin = url.indexOf('://') + 3;
  if (begin > 2) {
    const authority = /^[^/?]*/.exec(url.slice(begin))[0];
    const at = authority.lastIndexOf('@');
    if (at >= 0) url = url.slice(0, begin) + url.slice(begin + at + 1);
  }
  const query = url.indexOf('?');
  if (query < 0) return url;
  return url.slice(0, query) + url.slice(query).replace(/=[^&]+/g, '=REDACTED');
}

/** The path of a request's target, without the query. */
function path(target) {
  const text = target.startsWith('/') ? target : target.replace(/^[a-z]+:\/\/[^/?#]*/i, '') || '/';
  const end = text.search(/[?#]/);
  return end < 0 ? text : text.slice(0, end);
}

const HOST = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/;

/** Host and port of an authority such as a `Host` header. */
function authority(text) {
  const found = HOST.exec(text || '');
  return found ? [found[1].replace(/^\[|\]$/g, ''), found[2] ? Number(found[2]) : undefined] : ['', undefined];
}

module.exports = { authority, full, path };
