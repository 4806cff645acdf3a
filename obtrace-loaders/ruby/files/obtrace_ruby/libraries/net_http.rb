# frozen_string_literal: true

module ObtraceZero
  # Net::HTTP, and what is built on it: open-uri, Faraday's default adapter, HTTParty, rest-client, the AWS SDK.
  module NetHttp
    SCOPE = 'obtrace.ruby.net_http'

    module Hook
      # A request of a connection that is not open opens it and comes here again.
      def request(message, body = nil, &block)
        return super unless started?

        current = Context.raw
        if current.is_a?(Span) && current.owner.equal?(self)
          # Some libraries alias this method: their copy is ours, and only the real one ends the circle.
          return NetHttp.original.bind_call(self, message, body, &block)
        end
        return super if Client.inside?(:http)

        span = NetHttp.begin(self, message)
        return super if span.nil?

        carried = NetHttp.carry(span, message)
        begin
          Client.run(span, Metrics::CLIENT, ->(answer) { Client.status(span, answer.code.to_i) }) { super }
        ensure
          carried.each { |name| message.delete(name) }
        end
      end
    end

    # A connection that cannot be made is a call without an answer; what would have been asked is not known yet.
    module Connect
      private

      def connect
        return super if Client.inside?(:http)

        begin
          super
        rescue StandardError => error
          NetHttp.unreachable(self, error)
          raise
        end
      end
    end

    class << self
      attr_accessor :original

      def unreachable(connection, error)
        url = "#{connection.use_ssl? ? 'https' : 'http'}://#{connection.address}:#{connection.port}"
        span = Client.http(SCOPE, 'HTTP', url, connection.address, connection.port) or return
        span.raised(error)
        Metrics::CLIENT.add(span.finish, span)
      rescue StandardError => problem
        ObtraceZero.failed(SCOPE, problem)
      end

      def begin(connection, message)
        host = connection.address
        port = connection.port
        secure = connection.use_ssl?
        path = message.path.to_s
        url = path
        unless path.match?(/\Ahttps?:/i)
          name = host.include?(':') ? "[#{host}]" : host
          url = "#{secure ? 'https' : 'http'}://#{name}#{":#{port}" if port != (secure ? 443 : 80)}#{path}"
        end
        span = Client.http(SCOPE, message.method, url, host, port)
        span.owner = connection if span
        span
      rescue StandardError => error
        ObtraceZero.failed(SCOPE, error)
      end

      # Sets the headers of the context; gives those to take out again, as a message may be sent twice.
      def carry(span, message)
        return [] if message.key?('traceparent')

        message['traceparent'] = Context.header(span)
        return ['traceparent'] unless span.tracestate

        message['tracestate'] = span.tracestate
        %w[traceparent tracestate]
      rescue StandardError => error
        ObtraceZero.failed(SCOPE, error)
        []
      end
    end
  end

  Hooks.on('Net::HTTP', :request) do |target|
    NetHttp.original = target.instance_method(:request)
    target.prepend(NetHttp::Hook)
    target.prepend(NetHttp::Connect) if target.private_method_defined?(:connect)
  end
end
