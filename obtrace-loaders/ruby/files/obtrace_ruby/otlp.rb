# frozen_string_literal: true

module ObtraceZero
  # Spans, log records and metrics as OTLP JSON: ids hexadecimal, 64-bit integers as strings, enumerations as numbers.
  module Otlp
    STATE = '"traceState":'
    # Names of attributes come again and again: what each begins with is made once.
    NAMES = Hash.new do |names, name|
      text = "{\"key\":#{Json.string(name)},\"value\":"
      names.size < 1000 ? names[name] = text : text
    end

    # Attributes as they were encoded, by name and value.
    PAIRS = {}
    MOST_NAMES = 100
    MOST_VALUES = 100
    LONGEST_PAIR = 200

    module_function

    def traces(spans)
      wrapped('resourceSpans', 'scopeSpans', 'spans', spans.group_by(&:scope)) { |span| span(span) }
    end

    def logs(records)
      wrapped('resourceLogs', 'scopeLogs', 'logRecords', records.group_by(&:scope)) { |record| log(record) }
    end

    # `parts`: `Metrics::Part`s, which are JSON already.
    def metrics(parts)
      wrapped('resourceMetrics', 'scopeMetrics', 'metrics', parts.group_by(&:scope)) { |part| part.text }
    end

    def wrapped(outer, middle, inner, scopes, &encode)
      parts = scopes.map do |scope, items|
        "{\"scope\":{\"name\":#{Json.string(scope)},\"version\":\"#{VERSION}\"},\"#{inner}\":[#{items.map(&encode).join(',')}]}"
      end
      "{\"#{outer}\":[{\"resource\":#{Resource.json},\"#{middle}\":[#{parts.join(',')}]}]}"
    end

    def span(span)
      text = +"{\"traceId\":\"#{span.trace_id}\",\"spanId\":\"#{span.span_id}\""
      text << ",\"parentSpanId\":\"#{span.parent_id}\"" if span.parent_id
      text << ',' << STATE << Json.string(span.tracestate) if span.tracestate
      text << ",\"flags\":1,\"name\":#{Json.string(span.name)},\"kind\":#{span.kind},\"startTimeUnixNano\":\"#{span.start}\"," \
              "\"endTimeUnixNano\":\"#{span.end}\",\"attributes\":#{attributes(span.attributes)}"
      text << ',"events":[' << span.events.map { |event| exception(event) }.join(',') << ']' if span.events
      text << ',"links":[' << span.links.map { |link| "{\"traceId\":\"#{link.trace_id}\",\"spanId\":\"#{link.span_id}\"}" }.join(',') << ']' if span.links
      text << ',"status":' << status(span) << '}'
    end

    def status(span)
      return '{}' unless span.failed?

      span.message ? "{\"code\":2,\"message\":#{Json.string(span.message)}}" : '{"code":2}'
    end

    def exception(event)
      "{\"timeUnixNano\":\"#{event[:time]}\",\"name\":\"exception\",\"attributes\":[" \
        "#{pair('exception.type', event[:type])},#{pair('exception.message', event[:text])}," \
        "#{NAMES['exception.stacktrace']}{\"stringValue\":#{Json.string(event[:stack], Span::LONGEST_STACK)}}}]}"
    end

    def log(record)
      text = +"{\"timeUnixNano\":\"#{record.time}\",\"observedTimeUnixNano\":\"#{record.time}\",\"severityNumber\":#{record.severity}," \
              "\"severityText\":#{Json.string(record.level)},\"body\":{\"stringValue\":#{Json.string(record.body, Logs::LONGEST_BODY)}}"
      if record.trace_id
        text << ",\"traceId\":\"#{record.trace_id}\",\"flags\":#{record.sampled ? 1 : 0}"
        text << ",\"spanId\":\"#{record.span_id}\"" if record.span_id
      end
      text << ",\"attributes\":#{attributes(record.attributes)}" if record.attributes
      text << '}'
    end

    # A hash of attributes as the list that OTLP wants.
    def attributes(values)
      text = +'['
      values.each do |name, value|
        next if value.nil?

        text << ',' if text.bytesize > 1
        text << ((known = PAIRS[name]) && known[value] || pair(name, value))
      end
      text << ']'
    end

    # An attribute; short ones that come again are remembered.
    def pair(name, value)
      text = "#{NAMES[name]}#{any(value)}}"
      return text if text.bytesize > LONGEST_PAIR

      known = PAIRS[name] || (PAIRS.size < MOST_NAMES ? PAIRS[name] = {} : nil)
      # Equal numbers of other kinds are other attributes: 1 and 1.0 are told apart by `eql?`, as hashes do.
      known[value.frozen? ? value : value.dup.freeze] = text if known && known.size < MOST_VALUES
      text
    end

    def any(value)
      case value
      when String then "{\"stringValue\":#{Json.string(value)}}"
      when Integer then "{\"intValue\":\"#{value}\"}"
      when Float then value.finite? ? "{\"doubleValue\":#{value}}" : "{\"stringValue\":\"#{value}\"}"
      when true, false then "{\"boolValue\":#{value}}"
      when Array then "{\"arrayValue\":{\"values\":[#{value.map { |item| any(item) }.join(',')}]}}"
      else "{\"stringValue\":#{Json.string(value)}}"
      end
    end
  end
end
