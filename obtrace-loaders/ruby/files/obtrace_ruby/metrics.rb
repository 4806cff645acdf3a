# frozen_string_literal: true

module ObtraceZero
  # How long calls took, of all calls, sampled or not; cumulative histograms.
  module Metrics
    MOST_SETS = 1000
    LARGEST_BATCH = Lane::LARGEST_BATCH
    OVERFLOW = [:overflow].freeze
    OVERFLOWN = { 'otel.metric.overflow' => true }.freeze
    SERVER_NAMES = %w[http.request.method url.scheme http.route http.response.status_code error.type network.protocol.version].freeze
    CLIENT_NAMES = %w[http.request.method http.response.status_code error.type server.address server.port].freeze
    DATABASE_NAMES = %w[db.system.name db.namespace db.operation.name db.collection.name error.type server.address server.port].freeze
    HTTP_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10].freeze
    DATABASE_BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10].freeze

    # One histogram; its points by the values of its attributes, nil where there is none.
    class Histogram
      Point = Struct.new(:count, :sum, :least, :most, :buckets)

      # `names`: the attributes that are told apart.
      def initialize(name, text, bounds, names)
        @name = name
        @text = text
        @bounds = bounds
        @names = names
        reset
      end

      def reset
        @points = {}
        @lock = Mutex.new
        @since = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
      end

      # Adds the duration of what a span stood for. In a trap handler, where no lock can be had, it is left out.
      def add(seconds, span)
        return unless seconds && Settings.signal?(:metrics)

        attributes = span.attributes
        set = @names.map { |name| attributes[name] }
        index = @bounds.bsearch_index { |bound| bound >= seconds } || @bounds.size
        @lock.synchronize do
          point = @points[set] || made(set)
          point.count += 1
          point.sum += seconds
          point.least = seconds if seconds < point.least
          point.most = seconds if seconds > point.most
          point.buckets[index] += 1
        end
      rescue ThreadError
        nil
      end

      # As JSON, in parts of at most a batch's points.
      def parts(now)
        points = @lock.synchronize { @points.map { |set, point| [set, point.dup.tap { |copy| copy.buckets = point.buckets.dup }] } }
        points.each_slice(LARGEST_BATCH).map do |slice|
          [slice.size, "{\"name\":\"#{@name}\",\"description\":\"#{@text}\",\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":2," \
                       "\"dataPoints\":[#{slice.map { |set, point| json(set, point, now) }.join(',')}]}}"]
        end
      end

      private

      def made(set)
        set = OVERFLOW if @points.size >= MOST_SETS
        @points[set] ||= Point.new(0, 0.0, Float::INFINITY, 0.0, Array.new(@bounds.size + 1, 0))
      end

      def json(set, point, now)
        "{\"startTimeUnixNano\":\"#{@since}\",\"timeUnixNano\":\"#{now}\",\"count\":\"#{point.count}\",\"sum\":#{point.sum}," \
          "\"min\":#{point.least},\"max\":#{point.most},\"explicitBounds\":[#{@bounds.join(',')}]," \
          "\"bucketCounts\":[#{point.buckets.map { |count| "\"#{count}\"" }.join(',')}],\"attributes\":#{Otlp.attributes(OVERFLOW.equal?(set) ? OVERFLOWN : @names.zip(set))}}"
      end
    end

    # A metric as JSON, and how many data points it has.
    Part = Struct.new(:scope, :text, :points)
    # Metrics that go in one request.
    Bundle = Struct.new(:parts, :points)

    SERVER = Histogram.new('http.server.request.duration', 'Duration of HTTP server requests.', HTTP_BOUNDS, SERVER_NAMES)
    CLIENT = Histogram.new('http.client.request.duration', 'Duration of HTTP client requests.', HTTP_BOUNDS, CLIENT_NAMES)
    DATABASE = Histogram.new('db.client.operation.duration', 'Duration of database client operations.', DATABASE_BOUNDS, DATABASE_NAMES)
    SCOPES = { SERVER => 'obtrace.ruby.rack', CLIENT => 'obtrace.ruby.http', DATABASE => 'obtrace.ruby.db' }.freeze

    module_function

    def reset
      SCOPES.each_key(&:reset)
    end

    # Everything there is to say now, in bundles of at most a batch's data points.
    def report
      now = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
      parts = SCOPES.flat_map { |histogram, scope| histogram.parts(now).map { |count, text| Part.new(scope, text, count) } }
      parts.concat(RuntimeMetrics.report(now).map { |count, text| Part.new('obtrace.ruby.runtime', text, count) })
      parts.each_with_object([]) do |part, bundles|
        bundles << Bundle.new([], 0) if bundles.empty? || bundles.last.points + part.points > LARGEST_BATCH
        bundles.last.parts << part
        bundles.last.points += part.points
      end
    end
  end
end
