//! Metrics from spans stay within their bounds, and what falls off them is counted.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use obtrace_export::{
    model::{Attribute, Metric, MetricData, Resource, Span, SpanId, SpanKind, TraceId, Value},
    span_metrics::{Config, SpanMetrics, SpanNames},
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn resource(service: usize) -> Arc<Resource> {
    Arc::new(Resource::new(vec![Attribute::new("service.name", format!("service-{service}"))]))
}

fn request(resource: &Arc<Resource>, route: usize, end: u64) -> Span {
    let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
    let name = format!("GET /{route}");
    let mut span = Span::new(ids.0, ids.1, name, SpanKind::Server, Arc::clone(resource), Arc::default())
        .with_times(end.saturating_sub(SECOND / 100), end);
    span.push("http.request.method", "GET");
    span.push("http.route", format!("/{route}"));
    span
}

/// Counts by service and route; that of overflow has the route `overflow`.
fn counts(metrics: &[Metric]) -> HashMap<(String, String), (u64, u64)> {
    let mut counts = HashMap::new();
    for metric in metrics {
        let MetricData::Histogram { points, .. } = &metric.data else { continue };
        let Some(Value::Str(service)) = metric.resource.get("service.name") else { panic!("{metric:?}") };
        for point in points {
            let route = point.attributes.iter().find_map(|attribute| match (&*attribute.key, &attribute.value) {
                ("http.route", Value::Str(route)) => Some(route.to_string()),
                ("otel.metric.overflow", Value::Bool(true)) => Some("overflow".to_owned()),
                _ => None,
            });
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            let twice = counts
                .insert((service.to_string(), route.expect("a route")), (point.count, point.start_time_unix_nano));
            assert_eq!(twice, None);
        }
    }
    counts
}

fn key(service: usize, route: impl ToString) -> (String, String) {
    let route = route.to_string();
    (format!("service-{service}"), if route == "overflow" { route } else { format!("/{route}") })
}

#[test]
fn a_metric_has_as_many_series_as_it_may_and_the_rest_together() {
    let (mut metrics, now) = (SpanMetrics::new(Config::new().with_max_series(10)), Instant::now());
    let resource = resource(0);
    for pass in 0..2 {
        for route in 0..25 {
            metrics.record(&request(&resource, route, SECOND), now);
        }
        let counts = counts(&metrics.collect(SECOND, now));
        assert_eq!(counts.len(), 10);
        assert_eq!(counts[&key(0, "overflow")].0, (pass + 1) * 16);
        assert!((0..9).all(|route| counts[&key(0, route)].0 == pass + 1));
    }
    let stats = metrics.stats();
    assert_eq!((stats.spans, stats.measured, stats.overflowed, stats.series), (50, 50, 32, 9));
}

#[test]
fn all_series_together_have_a_bound_and_each_metric_still_its_overflow() {
    let (mut metrics, now) = (SpanMetrics::new(Config::new().with_max_total_series(5)), Instant::now());
    for service in 0..3 {
        let resource = resource(service);
        (0..4).for_each(|route| metrics.record(&request(&resource, route, SECOND), now));
    }
    let counts = counts(&metrics.collect(SECOND, now));
    assert_eq!((counts[&key(1, "overflow")].0, counts[&key(2, "overflow")].0), (3, 4));
    assert_eq!((metrics.stats().series, metrics.stats().overflowed), (5, 7));
}

#[test]
fn spans_of_resources_beyond_their_number_are_counted() {
    let (mut metrics, now) = (SpanMetrics::new(Config::new().with_max_resources(2)), Instant::now());
    for service in [0, 1, 2, 3, 0, 2] {
        metrics.record(&request(&resource(service), 0, SECOND), now);
    }
    let collected = metrics.collect(SECOND, now);
    let counts = counts(&collected);
    assert_eq!((counts[&key(0, 0)].0, counts[&key(1, 0)].0), (2, 1));
    assert_eq!(counts.values().map(|(count, _)| count).sum::<u64>(), 6, "none is missing in the sum");
    let marked = |metric: &&Metric| metric.resource.get("otel.metric.overflow") == Some(&Value::Bool(true));
    let MetricData::Histogram { points, .. } = &collected.iter().find(marked).expect("a resource of overflow").data
    else {
        panic!("{collected:?}")
    };
    assert_eq!(points[0].count, 3);
    let stats = metrics.stats();
    assert_eq!((stats.measured, stats.rerouted, stats.resources), (6, 3, 2));
}

#[test]
fn what_nobody_has_collected_yet_does_not_expire() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut metrics = SpanMetrics::new(Config::new());
    metrics.record(&request(&resource(0), 0, SECOND), at(0));
    metrics.expire(at(301));
    let first = counts(&metrics.collect(301 * SECOND, at(301)));
    assert_eq!(first[&key(0, 0)].0, 1, "the first collection is the first chance to tell of it");
    metrics.record(&request(&resource(0), 0, 310 * SECOND), at(310));
    let late = counts(&metrics.collect(700 * SECOND, at(700)));
    assert_eq!(late[&key(0, 0)].0, 2, "nor what came since the last collection");
    metrics.expire(at(701));
    assert_eq!((metrics.stats().expired, metrics.stats().series, metrics.stats().resources), (1, 0, 0));
    assert!(metrics.collect(702 * SECOND, at(702)).is_empty());
}

#[test]
fn without_a_time_nothing_expires() {
    let start = Instant::now();
    let mut metrics = SpanMetrics::new(Config::new().with_ttl(Duration::ZERO).with_max_resources(1));
    metrics.record(&request(&resource(0), 0, SECOND), start);
    for day in 0..3 {
        let now = start + Duration::from_secs(86_400 * day);
        metrics.record(&request(&resource(1), 0, SECOND), now);
        let counts = counts(&metrics.collect(SECOND + day, now));
        assert_eq!((counts[&key(0, 0)].0, counts[&("unknown_service".to_owned(), "/0".to_owned())].0), (1, day + 1));
    }
}

/// A page that nobody asks for: what is dead does not fill the bounds for good.
#[test]
fn without_a_reader_the_dead_make_room_for_the_living() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut metrics = SpanMetrics::new(Config::new().with_max_resources(2).with_max_series(3));
    for service in 0..3 {
        metrics.record(&request(&resource(service), 0, SECOND), at(service as u64));
    }
    assert_eq!((metrics.stats().rerouted, metrics.stats().evicted), (1, 0), "nobody is dead yet");
    // The first has its time behind it, the second not.
    metrics.record(&request(&resource(3), 0, SECOND), at(300));
    let stats = metrics.stats();
    assert_eq!((stats.rerouted, stats.evicted, stats.unread, stats.resources), (1, 1, 1, 2));
    // Series, too: two and that of overflow.
    let living = resource(3);
    (1..4).for_each(|route| metrics.record(&request(&living, route, SECOND), at(301)));
    let overflowed = metrics.stats().overflowed;
    metrics.record(&request(&living, 4, SECOND), at(700));
    metrics.record(&request(&living, 5, SECOND), at(700));
    assert_eq!(metrics.stats().overflowed, overflowed, "those of before made room");
    let counts = counts(&metrics.collect(700 * SECOND, at(700)));
    assert!(counts.contains_key(&key(3, 4)) && counts.contains_key(&key(3, 5)), "{counts:?}");
}

#[test]
fn the_processes_of_a_service_instance_count_together() {
    let worker = |pid: i64| {
        let mut resource = Resource::clone(&resource(0));
        resource.attributes.push(Attribute::new("service.instance.id", "prod.shop-1.web"));
        resource.attributes.push(Attribute::new("process.pid", pid));
        resource.attributes.push(Attribute::new("process.runtime.name", "cpython"));
        Arc::new(resource)
    };
    for (processes, expected) in [(false, vec![1200]), (true, vec![100; 12])] {
        let (mut metrics, now) = (SpanMetrics::new(Config::new().with_processes(processes)), Instant::now());
        // More than there are places for.
        let workers: Vec<_> = (0..12).map(worker).collect();
        (0..1200).for_each(|at| metrics.record(&request(&workers[at % 12], 0, SECOND), now));
        assert_eq!(metrics.stats().resources, expected.len());
        let collected = metrics.collect(SECOND, now);
        let counts: Vec<u64> = collected
            .iter()
            .map(|metric| {
                assert_eq!(metric.resource.get("process.pid").is_some(), processes);
                assert!(metric.resource.get("process.runtime.name").is_some());
                let MetricData::Histogram { points, .. } = &metric.data else { panic!("{metric:?}") };
                points[0].count
            })
            .collect();
        assert_eq!(counts, expected);
    }
}

#[test]
fn the_container_of_a_pod_counts_on_after_a_restart() {
    let run = |restarts: i64, in_pod: bool| {
        let mut resource = Resource::clone(&resource(0));
        resource.attributes.push(Attribute::new("service.instance.id", "prod.shop-1.web"));
        resource.attributes.push(Attribute::new("container.id", format!("{restarts:064x}")));
        if in_pod {
            resource.attributes.push(Attribute::new("k8s.container.name", "web"));
            resource.attributes.push(Attribute::new("k8s.container.restart_count", restarts));
        }
        Arc::new(resource)
    };
    for (in_pod, processes, expected) in [(true, false, vec![7]), (true, true, vec![3, 4]), (false, false, vec![3, 4])]
    {
        let (mut metrics, now) = (SpanMetrics::new(Config::new().with_processes(processes)), Instant::now());
        let (before, after) = (run(0, in_pod), run(1, in_pod));
        (0..3).for_each(|_| metrics.record(&request(&before, 0, SECOND), now));
        (0..4).for_each(|_| metrics.record(&request(&after, 0, SECOND), now));
        let counts: Vec<u64> = metrics.collect(SECOND, now).iter().map(count).collect();
        assert_eq!(counts, expected, "in a Pod: {in_pod}");
        // What ran before is forgotten; what is told does not fall with it where both are one.
        metrics.record(&request(&after, 0, 400 * SECOND), now + Duration::from_secs(400));
        let collected = metrics.collect(400 * SECOND, now + Duration::from_secs(400));
        assert_eq!(count(&collected[0]), if expected.len() == 1 { 8 } else { 5 });
        assert_eq!(collected[0].resource.get("container.id").is_some(), expected.len() == 2);
    }
}

fn count(metric: &Metric) -> u64 {
    let MetricData::Histogram { points, .. } = &metric.data else { panic!("{metric:?}") };
    points[0].count
}

#[test]
fn a_resource_is_what_it_says_not_where_it_is() {
    let (mut metrics, now) = (SpanMetrics::new(Config::new()), Instant::now());
    let (one, same) = (resource(0), resource(0));
    for resource in [&one, &same, &one, &same] {
        metrics.record(&request(resource, 0, SECOND), now);
    }
    // Where one was, another may be.
    drop((one, same));
    for service in 1..50 {
        metrics.record(&request(&resource(service), 0, SECOND), now);
    }
    let counts = counts(&metrics.collect(SECOND, now));
    assert_eq!(counts[&key(0, 0)].0, 4);
    assert!((1..50).all(|service| counts[&key(service, 0)].0 == 1));
}

#[test]
fn a_series_without_values_vanishes_and_begins_anew() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut metrics = SpanMetrics::new(Config::new().with_ttl(Duration::from_secs(300)));
    let resource = resource(0);
    metrics.record(&request(&resource, 0, SECOND), at(0));
    metrics.record(&request(&resource, 1, SECOND), at(0));
    metrics.record(&request(&resource, 1, 100 * SECOND), at(100));
    let first = counts(&metrics.collect(299 * SECOND, at(299)));
    assert_eq!((first[&key(0, 0)], first[&key(0, 1)]), ((1, SECOND - SECOND / 100), (2, SECOND - SECOND / 100)));
    let second = counts(&metrics.collect(300 * SECOND, at(300)));
    assert_eq!(second.keys().collect::<Vec<_>>(), [&key(0, 1)], "exactly at its time");
    metrics.record(&request(&resource, 0, 350 * SECOND), at(350));
    let third = counts(&metrics.collect(360 * SECOND, at(360)));
    assert_eq!(third[&key(0, 0)], (1, 300 * SECOND), "it counts since it was not told");
    assert_eq!(third[&key(0, 1)].0, 2);
    assert!(metrics.collect(1000 * SECOND, at(1000)).is_empty());
    let stats = metrics.stats();
    assert_eq!((stats.expired, stats.series, stats.resources), (3, 0, 0));
}

#[test]
fn a_resource_has_so_many_names_of_spans() {
    let config = Config::new().with_operations(false).with_spans(SpanNames::Collector).with_max_span_names(3);
    let (mut metrics, start) = (SpanMetrics::new(config), Instant::now());
    let resource = resource(0);
    let names = |metrics: &[Metric]| {
        let MetricData::Histogram { points, .. } = &metrics[0].data else { panic!("{metrics:?}") };
        let name = |attribute: &Attribute| match (&*attribute.key, &attribute.value) {
            ("span.name", Value::Str(name)) => Some(name.to_string()),
            _ => None,
        };
        let mut names: Vec<_> = points.iter().filter_map(|point| point.attributes.iter().find_map(name)).collect();
        names.sort();
        names
    };
    (0..10).for_each(|route| metrics.record(&request(&resource, route, SECOND), start));
    assert_eq!(names(&metrics.collect(SECOND, start)), ["AGGREGATED", "GET /0", "GET /1", "GET /2"]);
    assert_eq!(metrics.stats().aggregated, 7);
    // What vanished makes room.
    let later = start + Duration::from_secs(200);
    metrics.record(&request(&resource, 2, SECOND), later);
    let end = start + Duration::from_secs(300);
    assert_eq!(names(&metrics.collect(2 * SECOND, end)), ["GET /2"]);
    (5..9).for_each(|route| metrics.record(&request(&resource, route, SECOND), end));
    assert_eq!(names(&metrics.collect(3 * SECOND, end)), ["AGGREGATED", "GET /2", "GET /5", "GET /6"]);
}

proptest! {
    /// Every span is in exactly one series, those that vanish apart; between collections no count falls but where a series
    /// began anew.
    #[test]
    fn counts_are_exact(
        operations in prop::collection::vec((0_usize..6, 0_usize..30, 0_u64..80, prop::bool::weighted(0.2)), 1..300),
        limits in (1_usize..12, 1_usize..40, 1_usize..6),
        ttl in prop::sample::select(vec![300, 1_000_000]),
    ) {
        let config = Config::new()
            .with_max_series(limits.0)
            .with_max_total_series(limits.1)
            .with_max_resources(limits.2)
            .with_ttl(Duration::from_secs(ttl));
        let (mut metrics, mut now) = (SpanMetrics::new(config), Instant::now());
        let (mut time, mut before, mut given) = (SECOND, HashMap::new(), 0);
        let resources: Vec<_> = (0..6).map(resource).collect();
        for (service, route, seconds, collect) in operations {
            now += Duration::from_secs(seconds);
            time += seconds * SECOND;
            if collect {
                let counted = counts(&metrics.collect(time, now));
                for (key, (count, start)) in &counted {
                    if let Some((earlier, began)) = before.get(key) {
                        prop_assert!((count >= earlier && start == began) || start > began, "{:?}", key);
                    }
                }
                before = counted;
            }
            metrics.record(&request(&resources[service], route, time), now);
            given += 1;
            let stats = metrics.stats();
            prop_assert!(stats.series <= limits.1 && stats.resources <= limits.2);
            prop_assert_eq!(stats.spans, given);
            prop_assert_eq!(stats.measured, given);
        }
        let left: u64 = counts(&metrics.collect(time, now)).values().map(|(count, _)| count).sum();
        if ttl > 300 * 80 {
            prop_assert_eq!(left, metrics.stats().measured);
        }
    }
}
