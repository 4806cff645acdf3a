//! What the operator tells about itself: [`traces`] where they are asked for, and metrics, by the conventions of Prometheus, in the format
//! of OpenMetrics.
//!
//! | metric | labels | is |
//! | --- | --- | --- |
//! | `obtrace_zero_admissions_total` | `outcome`, `reason`, `dry_run` | reviews that were answered |
//! | `obtrace_zero_admission_duration_seconds` | | how long that took, from the request's head to the answer (histogram) |
//! | `obtrace_zero_containers_total` | `language` | containers that were instrumented |
//! | `obtrace_zero_admission_panics_total` | | faults of ours in an answer; the Pod was allowed as it was |
//! | `obtrace_zero_requests_refused_total` | `reason` | requests without a verdict |
//! | `obtrace_zero_connections` | | connections to the webhook that are open |
//! | `obtrace_zero_connections_refused_total` | `reason` | connections that were closed or not taken |
//! | `obtrace_zero_workloads` | `language`, `state` | workloads that discovery knows |
//! | `obtrace_zero_discovery_scan_duration_seconds` | | how long a scan took (histogram) |
//! | `obtrace_zero_restarts_total` | `outcome` | restarts of workloads: `completed`, `unchanged` (their Pods are not instrumented all the same), `rolled_back`, `superseded` (by somebody's change) |
//! | `obtrace_zero_certificate_expiry_timestamp_seconds` | | when the serving certificate ends, in seconds since 1970 |
//! | `obtrace_zero_certificate_rotations_total` | | certificates that were made |
//! | `obtrace_zero_leader` | | 1 on the replica that leads |
//! | `obtrace_zero_events_dropped_total` | | Events that were not sent, since too many were waiting |
//! | `obtrace_zero_events_unsent_total` | `reason` | Events that are left for an owner's next Pod: `too_many` at once, `refused` by the API server, `paused` for a while after that |
//! | `obtrace_zero_spans_exported_total` | | spans of the operator's own that a receiver took |
//! | `obtrace_zero_spans_dropped_total` | `reason` | spans of the operator's own that none got: `queue_full`, `expired` and `refused` of requests, `rejected` within one, … |
//! | `obtrace_zero_build_info` | `version` | 1 |
//!
//! ```
//! use std::time::Duration;
//! use obtrace_operator::{admission::{Outcome, Verdict}, telemetry::Metrics};
//!
//! let metrics = Metrics::new();
//! metrics.admission(&Verdict::new(Outcome::NoResource), Duration::from_micros(80));
//! let text = metrics.encode()?;
//! assert!(text.contains(r#"obtrace_zero_admissions_total{outcome="no_resource",reason="",dry_run="false"} 1"#));
//! assert!(text.contains(r#"obtrace_zero_admission_duration_seconds_bucket{le="0.0001"} 1"#));
//! # Ok::<(), std::fmt::Error>(())
//! ```

mod labels;
mod metrics;
pub mod traces;

pub use self::{
    labels::{RefusedConnection, RefusedRequest},
    metrics::Metrics,
    traces::{Replica, Settings, SettingsError, Traces},
};
