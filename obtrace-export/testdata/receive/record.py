#!/usr/bin/env python3
"""Records what the OpenTelemetry SDK of Python sends over OTLP/HTTP: python-{traces,logs,metrics}.pb.

Needs opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http. usage: record.py FOLDER
"""

import http.server
import logging
import pathlib
import sys
import threading

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

FOLDER = pathlib.Path(sys.argv[1])


class Recorder(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (FOLDER / f"python-{self.path.rsplit('/', 1)[-1]}.pb").write_bytes(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1/"
    resource = Resource({"service.name": "shop", "list": ["a", "b"], "pid": 7})
    spans = TracerProvider(resource=resource)
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url + "traces")))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(url + "logs")))
    exporter = OTLPMetricExporter(url + "metrics", preferred_temporality={Histogram: AggregationTemporality.DELTA})
    views = [View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())]
    metrics = MeterProvider([PeriodicExportingMetricReader(exporter)], resource, views=views)
    logger = logging.getLogger("shop.cart")
    logger.addHandler(LoggingHandler(logger_provider=logs))
    logger.addFilter(lambda record: setattr(record, "pathname", "cart.py") or True)
    tracer, meter = spans.get_tracer("shop", "1.2"), metrics.get_meter("shop")
    with tracer.start_as_current_span("GET /cart", kind=trace.SpanKind.SERVER, attributes={"http.response.status_code": 500}) as span:
        span.add_event("cache miss", {"key": "7"})
        with tracer.start_as_current_span("SELECT cart", kind=trace.SpanKind.CLIENT, links=[trace.Link(span.get_span_context())]):
            logger.error("disk %s", "full")
        span.set_status(trace.Status(trace.StatusCode.ERROR, "no cart"))
    counter, duration, size = meter.create_counter("requests", "{request}"), meter.create_histogram("duration", "s"), meter.create_histogram("size", "By")
    meter.create_gauge("temperature", "Cel").set(-1.5)
    counter.add(3, {"method": "GET"})
    for value in (0.002, 0.3, 70):
        duration.record(value)
        size.record(value)
    for provider in (spans, logs, metrics):
        provider.shutdown()
    server.shutdown()


if __name__ == "__main__":
    main()
