'use strict';
// One POST by the runtime's own client, taken before anything is patched: never traced, no proxy, no redirect.

const { outside } = require('./context');
const clients = { 'http:': require('http').request, 'https:': require('https').request };

const TIMEOUT = 5000;
const LARGEST_ANSWER = 64 * 1024;
const LONGEST_WAIT = 30;
const AGAIN = new Set([429, 502, 503, 504]);
const sockets = new Set();
let held = false;

/** Whether requests in the air keep the process alive; they do at its end only. */
function hold(on) {
  held = on;
  for (const socket of sockets) on ? socket.ref() : socket.unref();
}

function followed(request) {
  request.on('socket', socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (!held) socket.unref();
  });
}

/** Seconds of a `Retry-After` that is heeded, else 0. */
function wait(header) {
  const seconds = /^\d{1,2}$/.test(header || '') ? Number(header) : 0;
  return seconds <= LONGEST_WAIT ? seconds : 0;
}

function exchange(target, body, headers, done) {
  const request = clients[target.protocol](target, {
    method: 'POST', agent: false, headers: { ...headers, 'Content-Length': Buffer.byteLength(body) },
  }, answer => {
    let size = 0;
    answer.on('data', piece => {
      size += piece.length;
      if (size > LARGEST_ANSWER) answer.destroy();
    });
    const { statusCode } = answer;
    const outcome = statusCode >= 200 && statusCode < 300 ? 'done' : AGAIN.has(statusCode) ? 'again' : 'rejected';
    answer.on('error', () => {});
    answer.on('close', () => done(outcome, `status ${statusCode}`, wait(answer.headers['retry-after'])));
  });
  followed(request);
  request.on('error', error => done('again', error.code || error.message, 0));
  request.end(body);
  return request;
}

/** Posts a body; `done(outcome, why, wait)` once, where the outcome is `done`, `again` or `rejected`. Gives a function that gives up. */
function post(target, body, headers, done) {
  let request = null;
  let ended = false;
  const end = (outcome, why, seconds) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    done(outcome, why, seconds);
  };
  const stop = why => {
    end('again', why, 0);
    if (request) request.destroy();
  };
  const timer = setTimeout(stop, TIMEOUT, 'no answer in time');
  if (timer.unref) timer.unref();
  try {
    outside(() => {
      request = exchange(target, body, headers, end);
    });
  } catch (error) {
    end('again', error.message, 0);
  }
  return stop;
}

module.exports = { hold, post };
