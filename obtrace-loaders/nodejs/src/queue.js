'use strict';
// What waits to be sent, by signal: at most 5,000 items, sent in batches of at most 500, 2 s after the first. CONTRACT.md, section 9.

const clock = require('./clock');
const { debug } = require('./debug');
const { request } = require('./encode');
const { outside } = require('./context');
const { post } = require('./transport');

const CAPACITY = 5000;
const BATCH = 500;
const DELAY = 2000;
const PAUSES = [2000, 4000];

/** Items that nobody will see, by signal and reason. */
const drops = new Map();

function count(signal, reason, items) {
  const name = `${signal} ${reason}`;
  drops.set(name, (drops.get(name) || 0) + items);
  debug(`${signal} are dropped: ${reason}`);
}

/** What was dropped, as a metric's points. */
function dropped() {
  return [...drops].map(([name, items]) => {
    const [signal, reason] = name.split(' ');
    return [items, { signal, reason }];
  });
}

const weight = item => (item.points ? item.points.length : 1);

class Queue {
  /** `identity`: attributes and version of who sends. */
  constructor(signal, settings, identity) {
    this.signal = signal;
    this.target = new URL(`${settings.url}/otlp/v1/${signal}`);
    this.headers = { 'Content-Type': 'application/json', 'X-Obtrace-Source': 'zero-agent-nodejs' };
    if (settings.key) this.headers['X-API-Key'] = settings.key;
    this.identity = identity;
    this.items = [];
    this.timer = null;
    this.batch = null;
    this.whenIdle = null;
  }

  push(item) {
    if (this.items.length >= CAPACITY) return count(this.signal, 'queue_full', weight(item));
    this.items.push(item);
    if (this.batch !== null) return undefined;
    if (this.items.length >= BATCH) return this.soon(0);
    return this.timer === null ? this.soon(DELAY) : undefined;
  }

  /** Sends what is there after `delay`; a burst fills its batch before the first of it is sent. */
  soon(delay) {
    if (this.timer !== null) {
      if (this.hurried) return;
      clearTimeout(this.timer);
    }
    this.hurried = delay === 0;
    this.timer = outside(() => setTimeout(() => this.send(), delay));
    if (this.timer.unref) this.timer.unref();
  }

  /** The next batch; null if it cannot be written. */
  take() {
    let size = 0;
    let at = 0;
    while (at < this.items.length && size + weight(this.items[at]) <= BATCH) size += weight(this.items[at++]);
    const items = this.items.splice(0, at);
    try {
      return { body: request(this.signal, items, this.identity.attributes, this.identity.version), size, attempt: 0, stop: null };
    } catch (error) {
      debug(`${this.signal}: ${error.message}`);
      count(this.signal, 'send_failed', size);
      return null;
    }
  }

  send() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.batch !== null) return undefined;
    clock.settle();
    if (this.items.length === 0) return this.idle();
    this.batch = this.take();
    return this.batch === null ? this.next() : this.attempt();
  }

  attempt() {
    const { batch } = this;
    batch.attempt += 1;
    batch.pause = null;
    batch.stop = post(this.target, batch.body, this.headers, (outcome, why, seconds) => this.answered(batch, outcome, why, seconds));
  }

  answered(batch, outcome, why, seconds) {
    if (this.batch !== batch) return undefined;
    if (outcome === 'done') return this.next();
    debug(`${this.signal}: ${why}`);
    if (outcome === 'rejected') count(this.signal, 'rejected', batch.size);
    else if (this.whenIdle || batch.attempt > PAUSES.length) count(this.signal, 'send_failed', batch.size);
    else {
      batch.pause = outside(() => setTimeout(() => this.attempt(), seconds * 1e3 || PAUSES[batch.attempt - 1]));
      if (batch.pause.unref) batch.pause.unref();
      return undefined;
    }
    // At the end nobody is there to wait for a receiver that is not.
    if (this.whenIdle && outcome === 'again') this.items = [];
    return this.next();
  }

  next() {
    this.batch = null;
    if (this.whenIdle) return this.send();
    if (this.items.length) this.soon(this.items.length >= BATCH ? 0 : DELAY);
    return undefined;
  }

  idle() {
    const { whenIdle } = this;
    this.whenIdle = null;
    if (whenIdle) whenIdle();
  }

  /** Sends everything now; `done` when it is sent or cannot be. */
  drain(done) {
    this.whenIdle = done;
    if (this.batch === null) return this.send();
    if (this.batch.pause) {
      clearTimeout(this.batch.pause);
      return this.attempt();
    }
    return undefined;
  }

  /** Gives up what `drain` waits for. */
  abandon() {
    this.items = [];
    this.whenIdle = null;
    const { batch } = this;
    this.batch = null;
    if (batch) {
      clearTimeout(batch.pause);
      if (batch.stop) batch.stop('the end');
    }
  }

  /** The bodies of everything that is not known to have arrived; nothing is left. */
  remains() {
    const bodies = this.batch ? [this.batch.body] : [];
    while (this.items.length) {
      const batch = this.take();
      if (batch !== null) bodies.push(batch.body);
    }
    this.abandon();
    return bodies;
  }
}

module.exports = { Queue, dropped };
