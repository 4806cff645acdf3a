package io.obtrace.zero.agent;

/** What is sent, each to an endpoint of its own. */
enum Signal {
  TRACES("traces"),
  LOGS("logs"),
  METRICS("metrics");

  final String text;

  Signal(String text) {
    this.text = text;
  }

  /** The endpoint's path below the ingest URL. */
  String path() {
    return "/otlp/v1/" + text;
  }
}
