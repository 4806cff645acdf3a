// An application with an OpenTelemetry SDK of its own, which counts its spans.
const { NodeTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
registerInstrumentations({ tracerProvider: provider, instrumentations: [new HttpInstrumentation()] });
const http = require('http');
const server = http.createServer((request, response) => response.end());
server.listen(0, '127.0.0.1', () => http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, response => response.resume().on('close', () => {
  server.close();
  setTimeout(() => console.log(exporter.getFinishedSpans().length, 'spans'), 200);
})));
