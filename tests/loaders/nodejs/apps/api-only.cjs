// A library that carries the API alone: its global is not ours.
const { trace } = require('@opentelemetry/api');
console.log(trace.getTracer('a').startSpan('b').isRecording() ? 'recording' : 'nothing is registered');
