'use strict';
// SQL without what people wrote into it: literals become `?`, comments go. One pass, no backtracking over the whole text.

const LONGEST = 16384;
const TOKEN = new RegExp([
  '/\\*[\\s\\S]*?(?:\\*/|$)', // comments
  '--[^\\n]*',
  '(?:\\b[eE])\'(?:\\\\[\\s\\S]|\'\'|[^\'\\\\])*(?:\'|$)', // texts with escapes
  '(?:\\b[nNbBxX])?\'(?:\'\'|[^\'])*(?:\'|$)',
  '"(?:""|[^"])*(?:"|$)', // names
  '`(?:``|[^`])*(?:`|$)',
  '\\$([A-Za-z_]\\w*)?\\$[\\s\\S]*?(?:\\$\\1\\$|$)',
  '[$:@%][\\w(]+\\)?s?', // placeholders
  '[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*', // words
  '0[xX][0-9a-fA-F]+',
  '(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?',
].join('|'), 'g');
const NAME = '(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\\[[^\\]]+\\]|[\\w$\\u0080-\\uffff]+)';
const TARGET = new RegExp(`\\b(?:FROM|INTO|UPDATE|JOIN|TABLE(?:\\s+IF(?:\\s+NOT)?\\s+EXISTS)?)\\s+(?:ONLY\\s+)?(${NAME}(?:\\.${NAME})*)`, 'i');
const WITHOUT_TARGET = new Set(['WITH', 'CALL', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SET', 'SHOW', 'EXPLAIN']);

function replace(token) {
  const first = token[0];
  if (first === '/' || token.startsWith('--')) return '';
  if (first === '\'' || (token.length > 1 && token[1] === '\'')) return '?';
  if (first === '$' && (token[1] === '$' || token.indexOf('$', 1) > 0)) return '?';
  return /^\.?\d/.test(token) ? '?' : token;
}

/** A statement's text without literals, its first word in capitals, and the table it is about, if it says one. */
function statement(sql) {
  const text = sql.slice(0, LONGEST).replace(TOKEN, replace).trim();
  const word = /^[A-Za-z]+/.exec(text.replace(/^[\s(;]+/, ''));
  const operation = word ? word[0].toUpperCase() : '';
  const found = operation && !WITHOUT_TARGET.has(operation) ? TARGET.exec(text) : null;
  const collection = found ? found[1].replace(/["`[\]]/g, '') : undefined;
  return { text, operation, collection };
}

module.exports = { statement };
