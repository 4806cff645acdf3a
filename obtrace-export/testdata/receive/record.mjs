// Records what the OpenTelemetry SDK of Node.js sends over OTLP/HTTP: node-{traces,logs,metrics}.json.
//
// Needs @opentelemetry/api, -/sdk-trace-base, -/sdk-logs, -/sdk-metrics and -/exporter-{trace,logs,metrics}-otlp-http.
// usage: node record.mjs FOLDER
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    writeFileSync(`${process.argv[2]}/node-${request.url.split("/").pop()}.json`, Buffer.concat(parts));
    response.end("{}");
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = (signal) => `http://127.0.0.1:${server.address().port}/v1/${signal}`;
const resource = resourceFromAttributes({ "service.name": "shop", list: ["a", "b"], pid: 7 });

const spans = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: url("traces") }))] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: url("logs") }) })] });
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: url("metrics") }) });
const views = [{ instrumentName: "size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }];
const metrics = new MeterProvider({ resource, readers: [reader], views });

const tracer = spans.getTracer("shop", "1.2");
const outer = tracer.startSpan("GET /cart", { kind: SpanKind.SERVER, attributes: { "http.response.status_code": 500 } });
outer.addEvent("cache miss", { key: "7" });
const inside = trace.setSpan(context.active(), outer);
const inner = tracer.startSpan("SELECT cart", { kind: SpanKind.CLIENT, links: [{ context: outer.spanContext() }] }, inside);
logs.getLogger("shop.cart").emit({ body: "disk full", severityNumber: 17, severityText: "error", attributes: { at: 1.5 }, context: inside });
inner.end();
outer.setStatus({ code: SpanStatusCode.ERROR, message: "no cart" });
outer.end();
const meter = metrics.getMeter("shop");
meter.createCounter("requests", { unit: "{request}" }).add(3, { method: "GET" });
meter.createGauge("temperature", { unit: "Cel" }).record(-1.5);
const duration = meter.createHistogram("duration", { unit: "s" });
const size = meter.createHistogram("size", { unit: "By" });
for (const value of [0.002, 0.3, 70]) {
  duration.record(value);
  size.record(value);
}
for (const provider of [spans, logs, metrics]) {
  await provider.shutdown();
}
server.close();
