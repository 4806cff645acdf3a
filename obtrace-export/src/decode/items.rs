//! Spans, log records, and what all signals have in common.

use std::sync::Arc;

use super::{
    Limits, Telemetry,
    fields::{
        ANY_VALUE, ENTITY, EVENT, KEY_VALUE, LINK, LIST, LOG_RECORD, LOGS, METRICS, RESOURCE, RESOURCE_LOGS,
        RESOURCE_METRICS, RESOURCE_SPANS, SCOPE, SCOPE_LOGS, SCOPE_METRICS, SCOPE_SPANS, SPAN, STATUS, TRACES,
    },
    json::Json,
    metrics::metric,
    protobuf::Protobuf,
    source::{DecodeError, Fields, Source},
};
use crate::{
    encode::Format,
    model::{
        Attribute, EntityRef, LogRecord, Metric, Resource, Scope, Signal, Span, SpanEvent, SpanId, SpanKind, SpanLink,
        Status, Text, TraceId, Value,
    },
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads the body of a request, decompressed.
///
/// Spans need their ids, as OTLP says. Unknown fields are passed over.
///
/// ```
/// use obtrace_export::{decode::{Limits, Telemetry, decode}, encode::Format, model::Signal};
///
/// let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"up"}}]}]}]}"#;
/// let Telemetry::Logs(records) = decode(Signal::Logs, Format::Json, body, &Limits::default())? else { panic!() };
/// assert_eq!((records[0].severity(), &records[0].body), ("INFO", &"up".into()));
///
/// let error = decode(Signal::Logs, Format::Json, b"{\"resourceLogs\":1}", &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "an array expected at byte 16, after resourceLogs");
/// # Ok::<(), obtrace_export::decode::DecodeError>(())
/// ```
///
/// # Errors
/// The body is not what OTLP says, or more than the limits allow.
pub fn decode(signal: Signal, format: Format, body: &[u8], limits: &Limits) -> Result<Telemetry> {
    match format {
        Format::Json => {
            let mut source = Json::new(body, limits);
            let telemetry = read(&mut source, signal)?;
            source.end()?;
            Ok(telemetry)
        }
        Format::Protobuf => read(&mut Protobuf::new(body, limits), signal),
    }
}

fn read<S: Source>(source: &mut S, signal: Signal) -> Result<Telemetry> {
    Ok(match signal {
        Signal::Traces => Telemetry::Traces(request(source, [TRACES, RESOURCE_SPANS, SCOPE_SPANS], span)?),
        Signal::Logs => Telemetry::Logs(request(source, [LOGS, RESOURCE_LOGS, SCOPE_LOGS], log_record)?),
        Signal::Metrics => Telemetry::Metrics(request(source, [METRICS, RESOURCE_METRICS, SCOPE_METRICS], metric)?),
    })
}

/// What a request is made of.
trait Item {
    fn resource(&mut self) -> &mut Arc<Resource>;
    fn scope(&mut self) -> &mut Arc<Scope>;
}

macro_rules! item {
    ($($name:ty),*) => {$(
        impl Item for $name {
            fn resource(&mut self) -> &mut Arc<Resource> {
                &mut self.resource
            }

            fn scope(&mut self) -> &mut Arc<Scope> {
                &mut self.scope
            }
        }
    )*};
}
item!(Span, LogRecord, Metric);

/// All items of a request. Resource and scope may come behind the items that they belong to.
fn request<S: Source, T: Item>(
    source: &mut S,
    [outer, group, scoped]: [Fields; 3],
    read: fn(&mut S) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items: Vec<T> = Vec::new();
    source.message(outer, |source, _| {
        source.repeated(|source| {
            let first = items.len();
            let (mut resource, mut url) = (Resource::default(), Text::default());
            source.message(group, |source, number| {
                match number {
                    1 => resource = self::resource(source)?,
                    2 => return source.repeated(|source| scope_group(source, scoped, read, &mut items)),
                    _ => url = source.text()?,
                }
                Ok(())
            })?;
            let resource = Arc::new(resource.with_schema_url(url));
            items.iter_mut().skip(first).for_each(|item| *item.resource() = Arc::clone(&resource));
            Ok(())
        })
    })?;
    Ok(items)
}

fn scope_group<S: Source, T: Item>(
    source: &mut S,
    fields: Fields,
    read: fn(&mut S) -> Result<T>,
    items: &mut Vec<T>,
) -> Result<()> {
    let first = items.len();
    let (mut scope, mut url) = (Scope::default(), Text::default());
    source.message(fields, |source, number| {
        match number {
            1 => scope = self::scope(source)?,
            2 => {
                return source.repeated(|source| {
                    items.push(read(source)?);
                    Ok(())
                });
            }
            _ => url = source.text()?,
        }
        Ok(())
    })?;
    let scope = Arc::new(scope.with_schema_url(url));
    items.iter_mut().skip(first).for_each(|item| *item.scope() = Arc::clone(&scope));
    Ok(())
}

fn resource<S: Source>(source: &mut S) -> Result<Resource> {
    let mut resource = Resource::default();
    source.message(RESOURCE, |source, number| {
        match number {
            1 => attributes(source, &mut resource.attributes)?,
            2 => resource.dropped_attributes_count = source.small()?,
            _ => {
                return source.repeated(|source| {
                    resource.entities.push(entity(source)?);
                    Ok(())
                });
            }
        }
        Ok(())
    })?;
    Ok(resource)
}

fn entity<S: Source>(source: &mut S) -> Result<EntityRef> {
    let mut entity = EntityRef::default();
    source.message(ENTITY, |source, number| {
        let keys = match number {
            1 => return source.text().map(|text| entity.schema_url = text),
            2 => return source.text().map(|text| entity.kind = text),
            3 => &mut entity.id_keys,
            _ => &mut entity.description_keys,
        };
        source.repeated(|source| {
            source.count_element()?;
            keys.push(source.text()?);
            Ok(())
        })
    })?;
    Ok(entity)
}

fn scope<S: Source>(source: &mut S) -> Result<Scope> {
    let mut scope = Scope::default();
    source.message(SCOPE, |source, number| {
        match number {
            1 => scope.name = source.text()?,
            2 => scope.version = source.text()?,
            3 => attributes(source, &mut scope.attributes)?,
            _ => scope.dropped_attributes_count = source.small()?,
        }
        Ok(())
    })?;
    Ok(scope)
}

/// Adds attributes to `out`.
pub(super) fn attributes<S: Source>(source: &mut S, out: &mut Vec<Attribute>) -> Result<()> {
    source.repeated(|source| {
        let mut attribute = Attribute::new(Text::default(), Value::Empty);
        source.message(KEY_VALUE, |source, number| {
            match number {
                1 => attribute.key = source.text()?,
                _ => attribute.value = value(source)?,
            }
            Ok(())
        })?;
        out.push(attribute);
        Ok(())
    })
}

fn value<S: Source>(source: &mut S) -> Result<Value> {
    let mut value = Value::Empty;
    source.message(ANY_VALUE, |source, number| {
        value = match number {
            1 => Value::Str(source.text()?),
            2 => Value::Bool(source.boolean()?),
            3 => Value::Int(source.signed()?),
            4 => Value::Double(source.double()?),
            5 => {
                let mut values = Vec::new();
                source.message(LIST, |source, _| {
                    source.repeated(|source| {
                        values.push(self::value(source)?);
                        Ok(())
                    })
                })?;
                values.into()
            }
            6 => {
                let mut entries = Vec::new();
                source.message(LIST, |source, _| attributes(source, &mut entries))?;
                entries.into()
            }
            _ => source.bytes()?.into(),
        };
        Ok(())
    })?;
    Ok(value)
}

fn span<S: Source>(source: &mut S) -> Result<Span> {
    source.count_item()?;
    let (trace, own) = (TraceId::default(), SpanId::default());
    let mut span =
        Span::new(trace, own, Text::default(), SpanKind::Internal, Arc::<Resource>::default(), Arc::<Scope>::default());
    span.flags = 0;
    source.message(SPAN, |source, number| {
        match number {
            1 => span.trace_id = TraceId::from_bytes(source.id()?),
            2 => span.span_id = SpanId::from_bytes(source.id()?),
            3 => span.trace_state = source.text()?,
            4 => span.parent_span_id = Some(SpanId::from_bytes(source.id()?)).filter(|id| !id.is_zero()),
            5 => span.name = source.text()?,
            6 => span.kind = kind(source)?,
            7 => span.start_unix_nano = source.unsigned()?,
            8 => span.end_unix_nano = source.unsigned()?,
            9 => attributes(source, &mut span.attributes)?,
            10 => span.dropped_attributes_count = source.small()?,
            11 => {
                return source.repeated(|source| {
                    span.events.push(event(source)?);
                    Ok(())
                });
            }
            12 => span.dropped_events_count = source.small()?,
            13 => {
                return source.repeated(|source| {
                    span.links.push(link(source)?);
                    Ok(())
                });
            }
            14 => span.dropped_links_count = source.small()?,
            15 => span.status = status(source)?,
            _ => span.flags = source.small()?,
        }
        Ok(())
    })?;
    if span.trace_id.is_zero() || span.span_id.is_zero() {
        return Err(source.wrong("a span without its ids"));
    }
    Ok(span)
}

/// A kind that is not said or not known is taken as internal, as the specification of the data model advises.
fn kind<S: Source>(source: &mut S) -> Result<SpanKind> {
    Ok(match source.enumeration()? {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    })
}

fn status<S: Source>(source: &mut S) -> Result<Status> {
    let (mut code, mut description) = (0, Text::default());
    source.message(STATUS, |source, number| {
        match number {
            2 => description = source.text()?,
            _ => code = source.enumeration()?,
        }
        Ok(())
    })?;
    Ok(match code {
        1 => Status::Ok,
        2 => Status::Error { description },
        _ => Status::Unset,
    })
}

fn event<S: Source>(source: &mut S) -> Result<SpanEvent> {
    let mut event = SpanEvent::new(0, Text::default(), Vec::new());
    source.message(EVENT, |source, number| {
        match number {
            1 => event.time_unix_nano = source.unsigned()?,
            2 => event.name = source.text()?,
            3 => attributes(source, &mut event.attributes)?,
            _ => event.dropped_attributes_count = source.small()?,
        }
        Ok(())
    })?;
    Ok(event)
}

fn link<S: Source>(source: &mut S) -> Result<SpanLink> {
    let mut link = SpanLink::new(TraceId::default(), SpanId::default(), Vec::new());
    source.message(LINK, |source, number| {
        match number {
            1 => link.trace_id = TraceId::from_bytes(source.id()?),
            2 => link.span_id = SpanId::from_bytes(source.id()?),
            3 => link.trace_state = source.text()?,
            4 => attributes(source, &mut link.attributes)?,
            5 => link.dropped_attributes_count = source.small()?,
            _ => link.flags = source.small()?,
        }
        Ok(())
    })?;
    Ok(link)
}

fn log_record<S: Source>(source: &mut S) -> Result<LogRecord> {
    source.count_item()?;
    let mut record = LogRecord::default();
    source.message(LOG_RECORD, |source, number| {
        match number {
            1 => record.time_unix_nano = source.unsigned()?,
            2 => record.severity_number = u8::try_from(source.enumeration()?).unwrap_or_default(),
            3 => record.severity_text = source.text()?,
            5 => record.body = value(source)?,
            6 => attributes(source, &mut record.attributes)?,
            7 => record.dropped_attributes_count = source.small()?,
            8 => record.flags = source.small()?,
            9 => record.trace_id = Some(TraceId::from_bytes(source.id()?)).filter(|id| !id.is_zero()),
            10 => record.span_id = Some(SpanId::from_bytes(source.id()?)).filter(|id| !id.is_zero()),
            11 => record.observed_time_unix_nano = source.unsigned()?,
            _ => record.event_name = source.text()?,
        }
        Ok(())
    })?;
    Ok(record)
}
