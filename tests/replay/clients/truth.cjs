// What a client on Node.js did: one JSON object a line on standard output.

let numbers = 0

// A word that stands in one operation of the whole run only, so that nothing can be taken for something else.
exports.token = () => `t${++numbers}x`

// JavaScript's numbers are too coarse for nanoseconds: microseconds.
exports.now = () => Math.round((performance.timeOrigin + performance.now()) * 1e3) * 1e3

exports.log = (protocol, port, what, outcome, start, end, more = {}) => {
  console.log(JSON.stringify({ protocol, port, what, outcome, start, end, completeness: 'complete', ...more }))
}

// Times one operation and logs it with the outcome that it comes to.
exports.operation = async (protocol, port, what, run, more) => {
  const start = exports.now()
  const outcome = await run()
  exports.log(protocol, port, what, outcome ?? null, start, exports.now(), more)
  return outcome
}
