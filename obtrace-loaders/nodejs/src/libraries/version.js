'use strict';
// Version ranges as the instrumentations write them: `>=1.0.0 <4`, `^5.0.0`, `>= 2`, `*`, alternatives in a list or by `||`.

const TERM = /(>=|<=|>|<|\^|~|=)?\s*v?(\d+)(?:\.(\d+|x))?(?:\.(\d+|x))?/g;

function numbers(version) {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return found ? found.slice(1).map(Number) : null;
}

function compare(one, other) {
  for (let at = 0; at < 3; at++) if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
  return 0;
}

function above(parts, from) {
  const next = parts.map((part, at) => (at < from ? part : at === from ? part + 1 : 0));
  return next;
}

function term(version, [, sign, ...texts]) {
  const given = texts.filter(text => text !== undefined && text !== 'x').length;
  const parts = texts.map(text => Number(text) || 0);
  const order = compare(version, parts);
  switch (sign) {
    case '>=': return order >= 0;
    case '>': return given < 3 ? compare(version, above(parts, given - 1)) >= 0 : order > 0;
    case '<': return order < 0;
    case '<=': return given < 3 ? compare(version, above(parts, given - 1)) < 0 : order <= 0;
    case '^': {
      const first = parts.findIndex(part => part > 0);
      return order >= 0 && compare(version, above(parts, Math.max(first, 0))) < 0;
    }
    case '~': return order >= 0 && compare(version, above(parts, Math.min(given - 1, 1))) < 0;
    default: return order >= 0 && compare(version, above(parts, given - 1)) < 0;
  }
}

/** Whether a version is in one of the ranges. */
function satisfies(version, ranges) {
  const parts = numbers(version);
  return (ranges || ['*']).some(range => range.split('||').some(part => {
    if (part.trim() === '*' || part.trim() === '') return true;
    return parts !== null && [...part.matchAll(TERM)].every(found => term(parts, found));
  }));
}

module.exports = { satisfies };
