'use strict';
// Files of packages as they are loaded, by `require` or as the CommonJS packages that ES modules import. Nothing is resolved twice, and
// what is not watched costs one look at its path.

const fs = require('fs');
const path = require('path');
const Module = require('module');
const { guard } = require('./debug');

const FOLDER = `${path.sep}node_modules${path.sep}`;
const watched = new Map();
const versions = new Map();

/** Calls `loaded(exports, file, version, folder)` for every file of a package; what it gives takes the place of the exports,
 * unless undefined. `file` is the path within the package. */
function watch(name, loaded) {
  watched.set(name, [...(watched.get(name) || []), loaded]);
}

function packageOf(filename) {
  const at = filename.lastIndexOf(FOLDER);
  if (at < 0) return null;
  const begin = at + FOLDER.length;
  let end = filename.indexOf(path.sep, begin);
  if (filename[begin] === '@') end = filename.indexOf(path.sep, end + 1);
  if (end < 0) return null;
  const name = filename.slice(begin, end).split(path.sep).join('/');
  return watched.has(name) ? { name, folder: filename.slice(0, end), file: filename.slice(end + 1).split(path.sep).join('/') } : null;
}

/** The `package.json` of a package's folder. */
function manifest(folder) {
  if (!versions.has(folder)) versions.set(folder, guard(folder, () => JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))) || {});
  return versions.get(folder);
}

function replaced(module, { name, folder, file }) {
  for (const loaded of watched.get(name)) {
    const exports = guard(`${name}/${file}`, () => loaded(module.exports, file, manifest(folder).version || '', folder));
    if (exports !== undefined && exports !== module.exports) module.exports = exports;
  }
}

function plain(module, value) {
  Object.defineProperty(module, 'loaded', { configurable: true, enumerable: true, value, writable: true });
}

/** Node.js makes a module with `loaded = false`, and says `loaded = true` when its file has run. Seeing that, rather than wrapping what
 * runs it, keeps our frames out of the stacks of errors on the way. Only modules that are watched have anything but a plain property. */
function bySetting() {
  Object.defineProperty(Module.prototype, 'loaded', {
    configurable: true,
    get() {
      return undefined;
    },
    set(value) {
      const found = value ? null : guard('a module', () => packageOf(String(this.id)));
      if (!found) return plain(this, value);
      return Object.defineProperty(this, 'loaded', {
        configurable: true,
        enumerable: true,
        get: () => value,
        set(now) {
          plain(this, now);
          if (now) replaced(this, found);
        },
      });
    },
  });
}

/** Other runtimes do not: there what loads a file is wrapped. */
function byLoading() {
  const { load } = Module.prototype;
  Module.prototype.load = function (filename) {
    const result = load.apply(this, arguments);
    const found = guard('a module', () => packageOf(filename));
    if (found) replaced(this, found);
    return result;
  };
}

/** Begins to watch. */
function instrument() {
  if (process.versions.bun || process.versions.deno) byLoading();
  else bySetting();
}

module.exports = { instrument, manifest, watch };
