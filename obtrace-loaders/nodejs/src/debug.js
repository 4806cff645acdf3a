'use strict';
// Lines for people who set OBTRACE_DEBUG; nothing otherwise.

const said = new Set();
const MOST = 200;
let enabled = false;

/** Switches the lines on. */
function enable() {
  enabled = true;
}

/** Says a line on standard error, each line once. */
function debug(line) {
  if (!enabled || said.has(line) || said.size >= MOST) return;
  said.add(line);
  try {
    process.stderr.write(`[obtrace] ${line}\n`);
  } catch {
    enabled = false;
  }
}

/** Calls `work`; what it throws is a line, never the application's problem. */
function guard(what, work) {
  try {
    return work();
  } catch (error) {
    debug(`${what}: ${error && error.message}`);
    return undefined;
  }
}

module.exports = { enable, debug, guard };
