//! Spans to metrics: 500 HTTP server spans of 12 attributes, of 10 services with 20 routes each, into series that are known.

use std::{sync::Arc, time::Instant};

use obtrace_export::{
    model::{Attribute, Resource, Span},
    prometheus::{Form, Options, encode},
    span_metrics::{Buckets, Config, SpanMetrics, SpanNames},
};

use crate::{
    harness::{Goals, Group, Run},
    otlp,
};

const SERVICES: usize = 10;
const ROUTES: usize = 20;

fn spans() -> Vec<Span> {
    let mut spans = otlp::spans();
    let named = |service: usize| {
        let mut resource = Resource::clone(&spans[0].resource);
        resource.attributes.retain(|attribute| attribute.key != "service.name");
        resource.attributes.push(Attribute::new("service.name", format!("service-{service}")));
        Arc::new(resource)
    };
    let resources: Vec<_> = (0..SERVICES).map(named).collect();
    for (i, span) in spans.iter_mut().enumerate() {
        span.resource = Arc::clone(&resources[i % SERVICES]);
        for attribute in span.attributes.iter_mut().filter(|attribute| attribute.key == "http.route") {
            attribute.value = format!("/api/v1/resources-{}/{{id}}", i / SERVICES % ROUTES).into();
        }
    }
    spans
}

fn warm(config: Config, spans: &[Span], now: Instant) -> SpanMetrics {
    let mut metrics = SpanMetrics::new(config);
    spans.iter().for_each(|span| metrics.record(span, now));
    metrics
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let (spans, now) = (spans(), Instant::now());
    let all = |config: Config| {
        config.with_service_graph(true).with_spans(SpanNames::Tempo).with_span_sizes(true).with_exemplars(true)
    };
    let configs = [
        ("operations", Config::new()),
        ("operations, exponential", Config::new().with_buckets(Buckets::Exponential)),
        ("all, with exemplars", all(Config::new())),
    ];
    let mut group = Group::new("metrics from spans", "span", spans.len());
    for (name, config) in configs.clone() {
        let mut metrics = warm(config, &spans, now);
        assert!(metrics.stats().overflowed == 0 && metrics.stats().resources == SERVICES);
        let spans = &spans;
        group = group.add(name, 0, move || spans.iter().for_each(|span| metrics.record(span, now)));
    }
    let outcome = group.run(run);
    for (at, (name, _)) in configs.iter().enumerate() {
        goals.no_allocations(format!("metrics from spans: {name}"), outcome.allocations[at]);
    }
    let spans_a_second = spans.len() as f64 * 1e3 / outcome.nanos[0];
    goals.rate("metrics from spans: million spans/s", spans_a_second, 2.0);

    let mut metrics = warm(Config::new(), &spans, now);
    let (series, collected) = (metrics.stats().series, metrics.collect(1, now));
    let (mut page, options) = (String::new(), Options::new());
    assert_eq!(encode(&collected, Form::Text, &options, &mut page), 0);
    Group::new("a page for Prometheus", "series", series)
        .add("collect", 0, || metrics.collect(1, now))
        .add("encode", page.len(), || {
            page.clear();
            encode(&collected, Form::Text, &options, &mut page)
        })
        .run(run);
}
