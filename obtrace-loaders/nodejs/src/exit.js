'use strict';
// The end of the process: what is queued is sent, in at most 2 s over all, and the process ends as it would have.

const { Worker } = require('worker_threads');
const { debug, guard } = require('./debug');
const { hold } = require('./transport');

// Of the 2 s that an end may take; the rest is for ending the thread that posts.
const BUDGET = 1700;
const SIGNALS = ['SIGTERM', 'SIGINT'];
let queues = [];
let lastWords = () => {};
let spent = 0;

// The thread that posts while the main thread waits in its `exit` event, where nothing asynchronous happens any more. It has
// no options and no environment of the application's.
const POSTER = `
const { workerData: { posts, flag, limit, verify } } = require('worker_threads');
let left = posts.length, refused = false;
const finish = () => { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); };
const next = () => {
  if (left === 0 || refused) return finish();
  const { target, headers, body } = posts[posts.length - left--];
  let over = false;
  const done = bad => { if (!over) { over = true; refused = bad === true; next(); } };
  const request = require(target.startsWith('https') ? 'https' : 'http').request(target, { method: 'POST', headers, agent: false, timeout: limit, rejectUnauthorized: verify }, answer => {
    answer.resume();
    answer.on('close', done);
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => done(true));
  request.end(body);
};
next();`;

/** Sends from the `exit` event. */
function atExit() {
  const left = BUDGET - spent;
  if (left <= 0) return;
  lastWords();
  const posts = [];
  for (const queue of queues) {
    for (const body of queue.remains()) posts.push({ target: queue.target.href, headers: { ...queue.headers, 'Content-Length': Buffer.byteLength(body) }, body });
  }
  if (posts.length === 0) return;
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const verify = process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0';
  const worker = new Worker(POSTER, { eval: true, execArgv: [], env: {}, workerData: { posts, flag, limit: left, verify } });
  worker.unref();
  debug(`sends ${posts.length} at the end: ${Atomics.wait(flag, 0, 0, left)}`);
}

/** Sends while the event loop still turns; `done` once, within what is left of the budget. */
function drain(done) {
  const began = Date.now();
  let open = queues.length;
  const finish = () => {
    clearTimeout(timer);
    hold(false);
    for (const queue of queues) queue.abandon();
    spent += Date.now() - began;
    done();
  };
  const timer = setTimeout(finish, Math.max(0, BUDGET - spent));
  guard('the last report', lastWords);
  hold(true);
  for (const queue of queues) queue.drain(() => --open === 0 && finish());
}

/** Nothing is left to do: an ordinary request holds the process for as long as it takes. Where the application listens as well, its
 * listeners would hear the event twice; then `exit` is early enough. */
function beforeExit() {
  if (process.listenerCount('beforeExit') > 1 || spent >= BUDGET) return;
  process.removeListener('beforeExit', beforeExit);
  drain(() => {});
}

/** Ends by a signal that nobody else handles. The listener is there only while it is the only one: others count them. */
function bySignal(name) {
  let there = false;
  let ending = false;
  const handle = () => {
    if (ending) return;
    ending = true;
    drain(() => {
      remove();
      process.kill(process.pid, name);
      // The first process of a container does not die of it, as it does not without us.
      ending = process.pid !== 1;
      if (!ending) add();
    });
  };
  const add = () => {
    if (there) return;
    there = true;
    process.on(name, handle);
  };
  const remove = () => {
    there = false;
    process.removeListener(name, handle);
  };
  process.on('newListener', (event, listener) => {
    // Not before the other is there: Node.js gives a signal up that nobody listens to.
    if (event === name && there && listener !== handle) process.nextTick(() => process.listenerCount(name) > 1 && remove());
  });
  process.on('removeListener', (event, listener) => {
    if (event === name && listener !== handle && !there && !ending && process.listenerCount(name) === 0) add();
  });
  if (process.listenerCount(name) === 0) add();
}

/** Watches for the end; `words` makes the last report. */
function watch(all, words) {
  queues = all;
  lastWords = words;
  process.on('beforeExit', beforeExit);
  process.on('exit', () => guard('at the end', atExit));
  for (const name of SIGNALS) guard(name, () => bySignal(name));
}

module.exports = { watch };
