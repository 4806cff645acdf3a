# frozen_string_literal: true

module ObtraceZero
  # What all calls to elsewhere have in common: a span, a duration, no second span for what happens inside.
  module Client
    class << self
      # Whether a call of this group (`:http`, a database's name) is inside another one, or of no interest.
      def inside?(group)
        return true unless ObtraceZero.active

        current = Context.raw
        return false if current.nil?

        Context::NOTHING.equal?(current) || current.is_a?(Span) && current.group == group && current.ended_at.nil?
      end

      # A span for a call that begins, not yet the current one. `group` as above.
      def begin(kind, name, scope, group, attributes)
        span = Span.new(kind, name, scope, Context.current, attributes)
        span.group = group
        span
      end

      # Runs the block, which is the call itself, in the span; what it raises goes on. `done` gets the answer.
      def run(span, histogram, done = nil)
        before = Context.raw
        Context.raw = span
        begin
          answer = yield
        rescue Exception => error # rubocop:disable Lint/RescueException -- it is raised again
          span.raised(error)
          raise
        ensure
          Context.raw = before
          conclude(span, histogram, answer, done)
        end
        answer
      end

      # An HTTP call. `url`: the whole URL, not redacted. `carry` is called with names and values of headers to set.
      def http(scope, method, url, host, port)
        method = method.to_s.upcase
        known = Rack::KNOWN.key?(method)
        attributes = { 'http.request.method' => known ? method : '_OTHER', 'server.address' => host, 'server.port' => port }
        span = self.begin(Span::CLIENT, known ? method : 'HTTP', scope, :http, attributes)
        span['http.request.method_original'] = method unless known
        span['url.full'] = Redact.url(url) if span.recording?
        span
      rescue StandardError => error
        ObtraceZero.failed(scope, error)
      end

      # The status of an answer.
      def status(span, code)
        span['http.response.status_code'] = code
        span.fail(code.to_s) if code >= 400
      end

      # A call of a database. `target`: what it is made to (`db.namespace`, `server.address`, `server.port`).
      def database(scope, system, text, target, dialect = :ansi)
        statement = Redact.sql(text, dialect) if text
        attributes = { 'db.system.name' => system }
        attributes.merge!(target)
        name = system
        if statement && !statement.operation.empty?
          attributes['db.operation.name'] = statement.operation
          attributes['db.collection.name'] = statement.collection if statement.collection
          place = statement.collection || target['db.namespace']
          name = place ? "#{statement.operation} #{place}" : statement.operation
        end
        attributes['db.query.text'] = statement.text if statement
        self.begin(Span::CLIENT, name, scope, system, attributes)
      rescue StandardError => error
        ObtraceZero.failed(scope, error)
      end

      # Runs a database's call in its span. Some clients give a failure as the answer.
      def query(span, &call)
        failed = ->(answer) { span.raised(answer) if answer.is_a?(Exception) }
        run(span, Metrics::DATABASE, failed, &call)
      end

      private

      def conclude(span, histogram, answer, done)
        done&.call(answer) unless span.failed? || answer.nil?
        seconds = span.finish
        histogram&.add(seconds, span)
      rescue StandardError => problem
        ObtraceZero.failed('end of a call', problem)
      end
    end
  end
end
