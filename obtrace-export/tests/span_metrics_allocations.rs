//! A span of a series that is known allocates nothing.

use std::{sync::Arc, time::Instant};

use obtrace_export::{
    model::{Attribute, Resource, Span, SpanId, SpanKind, TraceId},
    span_metrics::{Buckets, Config, SpanMetrics, SpanNames},
};

#[test]
fn a_known_series_allocates_nothing() {
    let resources: Vec<_> =
        ["a", "b"].map(|name| Arc::new(Resource::new(vec![Attribute::new("service.name", name)]))).into();
    let spans: Vec<Span> = (0..1000)
        .map(|number| {
            let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
            let route = format!("/an/endpoint/with/a/long/name/{}", number % 20);
            let kind = if number % 3 == 0 { SpanKind::Client } else { SpanKind::Server };
            let name = format!("GET {route}");
            let mut span = Span::new(ids.0, ids.1, name, kind, resources[number % 2].clone(), Arc::default())
                .with_times(0, 1_000_000 * (1 + number as u64 % 7));
            span.push("http.request.method", "GET");
            span.push("http.route", route);
            span.push("http.response.status_code", 200_i64);
            span.push("http.request.body.size", number as i64 % 10);
            span.push("server.address", "an.address.that.is.not.short.example");
            span
        })
        .collect();
    for buckets in [Buckets::Explicit, Buckets::Exponential] {
        let config = Config::new()
            .with_buckets(buckets)
            .with_spans(SpanNames::Tempo)
            .with_span_sizes(true)
            .with_service_graph(true)
            .with_exemplars(true)
            // So that some go to a series of overflow.
            .with_max_series(12);
        let (mut metrics, now) = (SpanMetrics::new(config), Instant::now());
        spans.iter().for_each(|span| metrics.record(span, now));
        let allocated = allocation_counter::measure(|| spans.iter().for_each(|span| metrics.record(span, now)));
        assert_eq!(allocated.count_total, 0, "{buckets:?}: {allocated:?}");
        assert!(metrics.stats().overflowed > 0);
    }
}
