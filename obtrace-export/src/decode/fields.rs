//! The fields that are read, by
//! [opentelemetry-proto 1.9](https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0/opentelemetry/proto): names in JSON
//! and numbers in protobuf.

use super::source::Fields;

pub(super) const TRACES: Fields = &[("resourceSpans", 1)];
pub(super) const LOGS: Fields = &[("resourceLogs", 1)];
pub(super) const METRICS: Fields = &[("resourceMetrics", 1)];
pub(super) const RESOURCE_SPANS: Fields = &[("resource", 1), ("scopeSpans", 2), ("schemaUrl", 3)];
pub(super) const RESOURCE_LOGS: Fields = &[("resource", 1), ("scopeLogs", 2), ("schemaUrl", 3)];
pub(super) const RESOURCE_METRICS: Fields = &[("resource", 1), ("scopeMetrics", 2), ("schemaUrl", 3)];
pub(super) const SCOPE_SPANS: Fields = &[("scope", 1), ("spans", 2), ("schemaUrl", 3)];
pub(super) const SCOPE_LOGS: Fields = &[("scope", 1), ("logRecords", 2), ("schemaUrl", 3)];
pub(super) const SCOPE_METRICS: Fields = &[("scope", 1), ("metrics", 2), ("schemaUrl", 3)];
pub(super) const RESOURCE: Fields = &[("attributes", 1), ("droppedAttributesCount", 2), ("entityRefs", 3)];
pub(super) const ENTITY: Fields = &[("schemaUrl", 1), ("type", 2), ("idKeys", 3), ("descriptionKeys", 4)];
pub(super) const SCOPE: Fields = &[("name", 1), ("version", 2), ("attributes", 3), ("droppedAttributesCount", 4)];
pub(super) const KEY_VALUE: Fields = &[("key", 1), ("value", 2)];
pub(super) const LIST: Fields = &[("values", 1)];
pub(super) const ANY_VALUE: Fields = &[
    ("stringValue", 1),
    ("boolValue", 2),
    ("intValue", 3),
    ("doubleValue", 4),
    ("arrayValue", 5),
    ("kvlistValue", 6),
    ("bytesValue", 7),
];
pub(super) const SPAN: Fields = &[
    ("traceId", 1),
    ("spanId", 2),
    ("traceState", 3),
    ("parentSpanId", 4),
    ("name", 5),
    ("kind", 6),
    ("startTimeUnixNano", 7),
    ("endTimeUnixNano", 8),
    ("attributes", 9),
    ("droppedAttributesCount", 10),
    ("events", 11),
    ("droppedEventsCount", 12),
    ("links", 13),
    ("droppedLinksCount", 14),
    ("status", 15),
    ("flags", 16),
];
pub(super) const EVENT: Fields = &[("timeUnixNano", 1), ("name", 2), ("attributes", 3), ("droppedAttributesCount", 4)];
pub(super) const LINK: Fields =
    &[("traceId", 1), ("spanId", 2), ("traceState", 3), ("attributes", 4), ("droppedAttributesCount", 5), ("flags", 6)];
pub(super) const STATUS: Fields = &[("message", 2), ("code", 3)];
pub(super) const LOG_RECORD: Fields = &[
    ("timeUnixNano", 1),
    ("severityNumber", 2),
    ("severityText", 3),
    ("body", 5),
    ("attributes", 6),
    ("droppedAttributesCount", 7),
    ("flags", 8),
    ("traceId", 9),
    ("spanId", 10),
    ("observedTimeUnixNano", 11),
    ("eventName", 12),
];
pub(super) const METRIC: Fields = &[
    ("name", 1),
    ("description", 2),
    ("unit", 3),
    ("gauge", 5),
    ("sum", 7),
    ("histogram", 9),
    ("exponentialHistogram", 10),
    ("summary", 11),
    ("metadata", 12),
];
/// Of all kinds of metrics; a gauge and a summary have only the first.
pub(super) const POINTS: Fields = &[("dataPoints", 1), ("aggregationTemporality", 2), ("isMonotonic", 3)];
pub(super) const NUMBER_POINT: Fields = &[
    ("startTimeUnixNano", 2),
    ("timeUnixNano", 3),
    ("asDouble", 4),
    ("exemplars", 5),
    ("asInt", 6),
    ("attributes", 7),
    ("flags", 8),
];
pub(super) const HISTOGRAM_POINT: Fields = &[
    ("startTimeUnixNano", 2),
    ("timeUnixNano", 3),
    ("count", 4),
    ("sum", 5),
    ("bucketCounts", 6),
    ("explicitBounds", 7),
    ("exemplars", 8),
    ("attributes", 9),
    ("flags", 10),
    ("min", 11),
    ("max", 12),
];
pub(super) const EXPONENTIAL_POINT: Fields = &[
    ("attributes", 1),
    ("startTimeUnixNano", 2),
    ("timeUnixNano", 3),
    ("count", 4),
    ("sum", 5),
    ("scale", 6),
    ("zeroCount", 7),
    ("positive", 8),
    ("negative", 9),
    ("flags", 10),
    ("exemplars", 11),
    ("min", 12),
    ("max", 13),
    ("zeroThreshold", 14),
];
pub(super) const BUCKETS: Fields = &[("offset", 1), ("bucketCounts", 2)];
pub(super) const SUMMARY_POINT: Fields = &[
    ("startTimeUnixNano", 2),
    ("timeUnixNano", 3),
    ("count", 4),
    ("sum", 5),
    ("quantileValues", 6),
    ("attributes", 7),
    ("flags", 8),
];
pub(super) const QUANTILE: Fields = &[("quantile", 1), ("value", 2)];
pub(super) const EXEMPLAR: Fields =
    &[("timeUnixNano", 2), ("asDouble", 3), ("spanId", 4), ("traceId", 5), ("asInt", 6), ("filteredAttributes", 7)];
