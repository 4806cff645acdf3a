//! Pages for Prometheus, in both forms.

#![cfg(feature = "prometheus")]

use std::{env, fs, path::PathBuf, sync::Arc, time::Instant};

use obtrace_export::{
    model::{
        Attribute, Buckets, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, NumberPoint, Resource,
        Scope, Span, SpanId, SpanKind, Status, SummaryPoint, Temporality, TraceId, Value,
    },
    prometheus::{Form, Options, encode},
    span_metrics::{self, Config, SpanMetrics, SpanNames},
};

const SECOND: u64 = 1_000_000_000;

fn resource(name: &'static str, more: &[(&'static str, &'static str)]) -> Arc<Resource> {
    let mut attributes = vec![Attribute::new("service.name", name)];
    attributes.extend(more.iter().map(|(key, value)| Attribute::new(*key, *value)));
    Arc::new(Resource::new(attributes))
}

fn metric(name: &'static str, unit: &'static str, data: MetricData) -> Metric {
    Metric::new(name, unit, data, resource("shop", &[]), Arc::default())
}

fn counter(value: i64, attributes: Vec<Attribute>) -> MetricData {
    let point = NumberPoint::new(value, 5 * SECOND).with_attributes(attributes).with_start_time(SECOND);
    MetricData::sum(vec![point], Temporality::Cumulative, true)
}

fn page(metrics: &[Metric], form: Form, options: &Options) -> (String, u64) {
    let mut page = String::new();
    let left = encode(metrics, form, options, &mut page);
    (page, left)
}

fn histogram() -> Metric {
    let exemplar = |value: f64, id| {
        Exemplar::new(value, 3 * SECOND / 2).with_span(TraceId::from_bytes([id; 16]), SpanId::from_bytes([id; 8]))
    };
    let point = HistogramPoint::new(4, 5 * SECOND)
        .with_start_time(SECOND)
        .with_sum(3.25)
        .with_buckets(vec![0.5, 1.0], vec![2, 0, 2])
        .with_attributes(vec![Attribute::new("http.route", "/cart")])
        .with_exemplars(vec![exemplar(0.25, 1), exemplar(0.5, 2), exemplar(2.0, 3)]);
    let data = MetricData::histogram(vec![point], Temporality::Cumulative);
    let resource =
        resource("shop", &[("service.namespace", "prod"), ("service.instance.id", "i-1"), ("k8s.pod.name", "p\"1")]);
    let scope = Arc::new(Scope::new("agent", "1.2"));
    Metric::new("http.server.request.duration", "s", data, resource, scope).with_description("How \"long\"\nit took.")
}

#[test]
fn a_page_of_text() {
    let (page, left) = page(&[histogram()], Form::Text, &Options::new().with_resource_labels(["k8s.pod.name"]));
    let labels = r#"instance="i-1",job="prod/shop",k8s_pod_name="p\"1",otel_scope_name="agent",otel_scope_version="1.2",http_route="/cart""#;
    let expected = format!(
        r#"# TYPE target_info gauge
# HELP target_info What the metrics are about.
target_info{{instance="i-1",job="prod/shop",k8s_pod_name="p\"1"}} 1
# TYPE http_server_request_duration_seconds histogram
# HELP http_server_request_duration_seconds How "long"\nit took.
http_server_request_duration_seconds_bucket{{{labels},le="0.5"}} 2
http_server_request_duration_seconds_bucket{{{labels},le="1.0"}} 2
http_server_request_duration_seconds_bucket{{{labels},le="+Inf"}} 4
http_server_request_duration_seconds_sum{{{labels}}} 3.25
http_server_request_duration_seconds_count{{{labels}}} 4
"#
    );
    assert_eq!((page, left), (expected, 0));
}

#[test]
fn a_page_of_open_metrics() {
    let options = Options::new().with_scope(false).with_identity(false).with_target_info(false).with_created(true);
    let calls = metric("calls.total", "{call}", counter(7, vec![Attribute::new("kind", Value::Bool(true))]));
    let (page, left) = page(&[histogram(), calls], Form::OpenMetrics, &options);
    let exemplar = |id: &str, value: &str| {
        format!(r##" # {{trace_id="{}",span_id="{}"}} {value} 1.500000000"##, id.repeat(16), id.repeat(8))
    };
    let (half, two) = (exemplar("02", "0.5"), exemplar("03", "2.0"));
    let expected = format!(
        r#"# TYPE http_server_request_duration_seconds histogram
# UNIT http_server_request_duration_seconds seconds
# HELP http_server_request_duration_seconds How \"long\"\nit took.
http_server_request_duration_seconds_bucket{{http_route="/cart",le="0.5"}} 2{half}
http_server_request_duration_seconds_bucket{{http_route="/cart",le="1.0"}} 2
http_server_request_duration_seconds_bucket{{http_route="/cart",le="+Inf"}} 4{two}
http_server_request_duration_seconds_sum{{http_route="/cart"}} 3.25
http_server_request_duration_seconds_count{{http_route="/cart"}} 4
http_server_request_duration_seconds_created{{http_route="/cart"}} 1.000000000
# TYPE calls counter
calls_total{{kind="true"}} 7
calls_created{{kind="true"}} 1.000000000
# EOF
"#
    );
    assert_eq!((page, left), (expected, 0));
}

#[test]
fn several_resources_are_told_apart_and_what_has_no_place_is_counted() {
    let other = |name, data| Metric::new(name, "", data, resource("cart", &[("k8s.pod.name", "c")]), Arc::default());
    let delta = MetricData::sum(vec![NumberPoint::new(1_i64, 1)], Temporality::Delta, true);
    let gauge = || MetricData::Gauge(vec![NumberPoint::new(0.5, 1)]);
    let metrics = [
        metric("calls", "", counter(1, Vec::new())),
        other("calls", counter(2, Vec::new())),
        other("up", gauge()),
        // Of another type, the same once more, the name of another's sample, since the last time, reserved.
        metric("calls", "", gauge()),
        other("calls", counter(3, Vec::new())),
        metric("calls_total", "", gauge()),
        metric("delta", "", delta),
        metric("target.info", "", gauge()),
    ];
    let (page, left) = page(&metrics, Form::Text, &Options::new());
    let expected = "# TYPE target_info gauge\n\
        # HELP target_info What the metrics are about.\n\
        target_info{job=\"cart\",k8s_pod_name=\"c\"} 1\n\
        # TYPE calls_total counter\n\
        calls_total{job=\"shop\"} 1\n\
        calls_total{job=\"cart\"} 2\n\
        # TYPE up gauge\n\
        up{job=\"cart\"} 0.5\n";
    assert_eq!((page.as_str(), left), (expected, 5));
}

/// The buckets of a page by `le`, of all series together, as `sum by (le)` has them.
fn by_le(page: &str) -> Vec<(f64, u64)> {
    let mut sums: Vec<(f64, u64)> = Vec::new();
    for line in page.lines().filter(|line| line.contains("_bucket{")) {
        let (series, count) = line.split(" # ").next().unwrap_or_default().rsplit_once(' ').expect("a value");
        let le = series.rsplit_once("le=\"").expect("a bound").1.trim_end_matches("\"}");
        let (le, count): (f64, u64) = (le.parse().expect("a number"), count.parse().expect("a count"));
        match sums.iter_mut().find(|(bound, _)| *bound == le) {
            Some((_, sum)) => *sum += count,
            None => sums.push((le, count)),
        }
    }
    sums.sort_by(|a, b| a.0.total_cmp(&b.0));
    sums
}

fn exponential(count: u64, offset: i32, counts: Vec<u64>) -> ExponentialPoint {
    ExponentialPoint::new(count, 3, 1).with_sum(9.0).with_positive(Buckets::new(offset, counts))
}

#[test]
fn exponential_histograms_get_buckets() {
    let point = exponential(6, 0, vec![1, 1, 0, 0, 3]).with_zero(1, 0.0);
    let point = point.with_attributes(vec![Attribute::new("le", "mine")]);
    let data = MetricData::exponential_histogram(vec![point], Temporality::Cumulative);
    let options = Options::new().with_identity(false).with_target_info(false);
    let (page, _) = page(&[metric("d", "s", data)], Form::Text, &options);
    // From 2^-14 to 2^6. Buckets 0 to 3 of scale 3 reach to √2, 4 to 7 to 2.
    let buckets = by_le(&page);
    assert_eq!(
        (buckets.len(), buckets[0], buckets[40], buckets[41]),
        (42, (1.0 / 16384.0, 1), (64.0, 6), (f64::INFINITY, 6))
    );
    for expected in [
        "d_seconds_bucket{exported_le=\"mine\",le=\"1.0\"} 1\n",
        "d_seconds_bucket{exported_le=\"mine\",le=\"1.4142135623730951\"} 3\n",
        "d_seconds_bucket{exported_le=\"mine\",le=\"2.0\"} 6\n",
        "d_seconds_bucket{exported_le=\"mine\",le=\"+Inf\"} 6\n\
            d_seconds_sum{exported_le=\"mine\"} 9.0\nd_seconds_count{exported_le=\"mine\"} 6\n",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

/// Whose name has no unit, and what is a ratio by its unit alone.
#[test]
fn latencies_by_tempos_name_have_the_bounds_of_durations_and_sums_are_no_ratios() {
    let point = exponential(6, 0, vec![1, 1, 0, 0, 3]).with_zero(1, 0.0);
    let latency = MetricData::exponential_histogram(vec![point], Temporality::Cumulative);
    let active = MetricData::sum(vec![NumberPoint::new(3_i64, 1)], Temporality::Cumulative, false);
    let share = MetricData::Gauge(vec![NumberPoint::new(0.5, 1)]);
    let metrics =
        [metric("traces_spanmetrics_latency", "", latency), metric("active", "1", active), metric("share", "1", share)];
    let (page, left) = page(&metrics, Form::Text, &Options::new().with_identity(false).with_target_info(false));
    assert_eq!((left, by_le(&page)[0]), (0, (1.0 / 16384.0, 1)));
    for expected in ["traces_spanmetrics_latency_count 6\n", "\nactive 3\n", "\nshare_ratio 0.5\n"] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

#[test]
fn sums_over_series_never_fall_from_one_bound_to_the_next() {
    for unit in ["s", "By", "{token}", ""] {
        let of =
            |name: &'static str, point: ExponentialPoint| point.with_attributes(vec![Attribute::new("route", name)]);
        let points = vec![
            of("fast", exponential(300, -40, vec![100; 3])),
            of("slow", exponential(30, 30, vec![10; 3])),
            of("wide", ExponentialPoint::new(20, -1, 1).with_positive(Buckets::new(-10, vec![1; 20]))),
        ];
        let data = MetricData::exponential_histogram(points, Temporality::Cumulative);
        let (page, left) = page(&[metric("d", unit, data)], Form::Text, &Options::new());
        let sums = by_le(&page);
        assert_eq!((left, sums.last()), (0, Some(&(f64::INFINITY, 350))));
        assert!(sums.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{unit}: {sums:?}");
        assert_eq!(page.matches("_bucket{").count(), 3 * sums.len(), "all have the same bounds");
    }
}

/// A metric of one of the processes of one service instance.
fn of_process(pid: i64, name: &'static str, unit: &'static str, data: MetricData) -> Metric {
    let mut resource = Resource::clone(&resource("shop", &[("service.instance.id", "prod.shop-1.web")]));
    resource.attributes.push(Attribute::new("process.pid", pid));
    Metric::new(name, unit, data, Arc::new(resource), Arc::default())
}

#[test]
fn the_processes_of_a_service_instance_are_one_on_the_page() {
    let exemplar = |value: f64, id| {
        Exemplar::new(value, SECOND).with_span(TraceId::from_bytes([id; 16]), SpanId::from_bytes([id; 8]))
    };
    let explicit = |bounds: Vec<f64>, counts: Vec<u64>, id: u8| {
        let point = HistogramPoint::new(counts.iter().sum(), 5 * SECOND).with_start_time(u64::from(id) * SECOND);
        let point =
            point.with_sum(1.5).with_buckets(bounds, counts).with_exemplars(vec![exemplar(0.1 * f64::from(id), id)]);
        MetricData::histogram(vec![point], Temporality::Cumulative)
    };
    let sum = |value: i64| counter(value, vec![Attribute::new("http.route", "/")]);
    let gauge = |value: f64, time| MetricData::Gauge(vec![NumberPoint::new(value, time)]);
    let tokens = |offset| {
        let point = ExponentialPoint::new(2, 0, 1).with_sum(3.0).with_positive(Buckets::new(offset, vec![2]));
        MetricData::exponential_histogram(vec![point], Temporality::Cumulative)
    };
    let number = |value: f64| MetricData::sum(vec![NumberPoint::new(value, 1)], Temporality::Cumulative, false);
    let summary = || MetricData::Summary(vec![SummaryPoint::new(1, 2.0, 1)]);
    let metrics = [
        of_process(1, "calls", "", sum(100)),
        of_process(2, "calls", "", sum(100)),
        of_process(3, "calls", "", sum(100)),
        of_process(4, "calls", "", sum(100)),
        // The same once more, later: it goes before what it said.
        of_process(4, "calls", "", sum(101)),
        of_process(1, "took", "s", explicit(vec![0.25, 0.5, 1.0], vec![1, 2, 3, 4], 3)),
        of_process(2, "took", "s", explicit(vec![0.25, 0.5, 1.0], vec![10, 20, 30, 40], 2)),
        of_process(1, "coarse", "s", explicit(vec![0.25, 0.5], vec![1, 2, 3], 1)),
        of_process(2, "coarse", "s", explicit(vec![0.5, 0.75], vec![10, 20, 30], 1)),
        of_process(1, "last", "", gauge(1.0, 1)),
        of_process(2, "last", "", gauge(2.0, 3)),
        of_process(3, "last", "", gauge(3.0, 2)),
        of_process(1, "open", "", number(1.5)),
        of_process(2, "open", "", number(2.0)),
        of_process(1, "tokens", "{token}", tokens(1)),
        of_process(2, "tokens", "{token}", tokens(3)),
        of_process(1, "quantiles", "", summary()),
        of_process(2, "quantiles", "", summary()),
    ];
    let mut metrics = metrics.to_vec();
    let MetricData::Sum { points, .. } = &mut metrics[4].data else { panic!("a sum") };
    points[0].time_unix_nano += 1;
    let options = Options::new().with_target_info(false).with_identity(false).with_created(true);
    let (open, left) = page(&metrics, Form::OpenMetrics, &options);
    // What of a process was said before, and quantiles of a second one.
    assert_eq!(left, 2, "{open}");
    let id = |byte: &str, value| {
        format!(r##" # {{trace_id="{}",span_id="{}"}} {value} 1.000000000"##, byte.repeat(16), byte.repeat(8))
    };
    let (two, three) = (id("02", "0.2"), id("03", "0.30000000000000004"));
    for expected in [
        "# TYPE calls counter\ncalls_total{http_route=\"/\"} 401\ncalls_created{http_route=\"/\"} 1.000000000\n",
        &format!(
            "took_seconds_bucket{{le=\"0.25\"}} 11{two}\ntook_seconds_bucket{{le=\"0.5\"}} 33{three}\n\
             took_seconds_bucket{{le=\"1.0\"}} 66\ntook_seconds_bucket{{le=\"+Inf\"}} 110\n\
             took_seconds_sum 3.0\ntook_seconds_count 110\ntook_seconds_created 2.000000000\n"
        ),
        "coarse_seconds_bucket{le=\"0.5\"} 13",
        "coarse_seconds_bucket{le=\"+Inf\"} 66\ncoarse_seconds_sum 3.0\ncoarse_seconds_count 66\n",
        "# TYPE last gauge\nlast 2.0\n",
        "# TYPE open gauge\nopen 3.5\n",
        "tokens_bucket{le=\"2.0\"} 0\ntokens_bucket{le=\"4.0\"} 2\ntokens_bucket{le=\"8.0\"} 2\ntokens_bucket{le=\"16.0\"} 4\n",
        "# TYPE quantiles summary\nquantiles_sum 2.0\nquantiles_count 1\n",
    ] {
        assert!(open.contains(expected), "{expected} is not in {open}");
    }
    assert!(!open.contains("coarse_seconds_bucket{le=\"0.25\"}") && !open.contains("le=\"0.75\""));
}

/// What `openmetrics.parser` and `Prometheus` itself refuse: a label that is there twice.
fn assert_labels_once(page: &str) {
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        for set in line.split('{').skip(1).filter_map(|rest| rest.split_once('}')) {
            let mut names: Vec<_> = set.0.split("\",").filter_map(|pair| Some(pair.split_once("=\"")?.0)).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{line}");
        }
    }
}

#[test]
fn no_label_is_there_twice() {
    let exemplar = Exemplar::new(1.0, SECOND).with_span(TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    let exemplar = exemplar.with_attributes(vec![
        Attribute::new("trace_id", "mine"),
        Attribute::new("span.id", "mine"),
        Attribute::new("x", "y"),
    ]);
    let point = NumberPoint::new(1_i64, SECOND)
        .with_exemplars(vec![exemplar])
        .with_attributes(vec![Attribute::new("server.address", "peer"), Attribute::new("job", "mine")]);
    let data = MetricData::sum(vec![point], Temporality::Cumulative, true);
    let of = [("server.address", "10.0.0.1"), ("exported.server.address", "old"), ("job", "theirs")];
    let metric = Metric::new("calls", "", data, resource("shop", &of), Arc::default());
    for keys in [&["server.address"][..], &["server.address", "exported.server.address", "job"]] {
        let options = Options::new().with_resource_labels(keys.iter().copied()).with_target_info(false);
        let (page, left) = page(std::slice::from_ref(&metric), Form::OpenMetrics, &options);
        assert_eq!(left, 0);
        assert_labels_once(&page);
        assert!(page.contains("server_address=\"peer\"") && page.contains("exported_job=\"mine\""), "{page}");
        let other = if keys.len() == 1 { "10.0.0.1" } else { "old" };
        assert!(page.contains(&format!("exported_server_address=\"{other}\"")), "{page}");
        let end = format!(" # {{trace_id=\"{}\",span_id=\"{}\",x=\"y\"}} 1.0", "01".repeat(16), "02".repeat(8));
        assert!(page.contains(&end), "{page}");
    }
    for form in [Form::Text, Form::OpenMetrics] {
        let options = Options::new().with_resource_labels(["k8s.pod.name", "host.name", "server.address"]);
        assert_labels_once(&page(&everything(), form, &options).0.replace("\\\"", ""));
    }
}

/// What an agent would tell: several services, operations of every kind, both kinds of buckets, names and values of every sort.
fn everything() -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (buckets, services) in
        [(span_metrics::Buckets::Explicit, ["shop", "cart"]), (span_metrics::Buckets::Exponential, ["pay", "mail"])]
    {
        let config = Config::new()
            .with_buckets(buckets)
            .with_exemplars(true)
            .with_service_graph(true)
            .with_spans(if services[0] == "shop" { SpanNames::Collector } else { SpanNames::Tempo })
            .with_span_sizes(true)
            .with_max_series(6);
        let (mut measured, now) = (SpanMetrics::new(config), Instant::now());
        for number in 0..400_u64 {
            let service = services[number as usize % 2];
            let resource = resource(service, &[("k8s.pod.name", "pod\\\"\n1"), ("host.name", "ä")]);
            let kind =
                [SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer][number as usize / 2 % 4];
            let ids = (TraceId::from_bytes([1 + number as u8 % 9; 16]), SpanId::from_bytes([1; 8]));
            let name = format!("GET /{}", number % 20);
            let mut span = Span::new(ids.0, ids.1, name, kind, resource, Arc::default())
                .with_times(SECOND, SECOND + number * number * 40_000);
            let (system, value): (&'static str, &'static str) = [
                ("http.request.method", "GET"),
                ("db.system.name", "postgresql"),
                ("rpc.system.name", "grpc"),
                ("messaging.system", "kafka"),
                ("dns.question.name", "shop.\"example\"\n\\"),
                ("gen_ai.operation.name", "chat"),
            ][number as usize % 6];
            span.push(system, value);
            span.push("http.request.body.size", (number * number) as i64);
            span.push("db.response.returned_rows", 3_i64);
            span.push("gen_ai.usage.input_tokens", number as i64);
            span.push("server.address", "10.0.0.9");
            if number % 7 == 0 {
                span.status = Status::Error { description: "".into() };
            }
            measured.record(&span, now);
        }
        assert!(measured.stats().overflowed > 0);
        metrics.extend(measured.collect(9 * SECOND, now));
    }
    let points = [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324, -0.0];
    let points = points.iter().enumerate();
    let points =
        points.map(|(at, value)| NumberPoint::new(*value, 1).with_attributes(vec![Attribute::new("at", at as i64)]));
    metrics.push(metric("0.strange--name ü", "%", MetricData::Gauge(points.collect())).with_description("é\u{1}"));
    metrics.push(metric("ratio", "1", MetricData::Gauge(vec![NumberPoint::new(i64::MIN, 1)])).with_description("One."));
    metrics.push(metric("rate", "By/s", counter(i64::MAX, Vec::new())).with_description("a \\ b\n\"c\""));
    metrics
}

#[test]
fn every_sample_has_a_name_and_labels_of_its_own() {
    for form in [Form::Text, Form::OpenMetrics] {
        let (page, left) = page(&everything(), form, &Options::new());
        assert_eq!(left, 0);
        let mut seen = std::collections::HashSet::new();
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        let series =
            samples.map(|line| line.split(" # ").next().unwrap_or_default().rsplit_once(' ').expect("a value").0);
        let count = series.filter(|series| assert_new(&mut seen, series)).count();
        assert!(count > 500, "{count}");
        let types: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(types.len(), types.iter().collect::<std::collections::HashSet<_>>().len());
        assert_eq!(page.contains(" # {"), form == Form::OpenMetrics);
    }
}

fn assert_new<'a>(seen: &mut std::collections::HashSet<&'a str>, series: &'a str) -> bool {
    assert!(seen.insert(series), "twice: {series}");
    true
}

/// Writes pages to the folder that `OBTRACE_PAGES` names, for readers that are not ours: `tests/export/pages.py`.
#[test]
fn pages_for_other_readers() {
    // Nothing to write for: the readers have a run of their own.
    let Some(folder) = env::var_os("OBTRACE_PAGES").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).expect("a folder");
    let all = everything();
    for (name, options) in [
        ("default", Options::new()),
        ("created", Options::new().with_created(true).with_resource_labels(["host.name"])),
        ("single", Options::new().with_identity(false).with_scope(false)),
    ] {
        // Without labels of its own, a page tells of one resource.
        let one: Vec<Metric> = all.iter().filter(|metric| *metric.resource == *all[0].resource).cloned().collect();
        let metrics = if options.identity { &all } else { &one };
        for (form, end) in [(Form::Text, "txt"), (Form::OpenMetrics, "om")] {
            fs::write(folder.join(format!("{name}.{end}")), page(metrics, form, &options).0).expect("a page");
        }
    }
}
