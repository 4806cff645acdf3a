# frozen_string_literal: true

module ObtraceZero
  # Clients of HTTP that do not use Net::HTTP: http.rb, Excon, HTTPClient, Typhoeus. Faraday is seen through its adapter.
  module HttpClients
    class << self
      # Runs a call: `set` gets names and values of headers, the block makes the call, `status` reads the answer's.
      def run(scope, method, url, set, status)
        return yield if Client.inside?(:http)

        span = self.begin(scope, method, url.to_s, set)
        return yield if span.nil?

        Client.run(span, Metrics::CLIENT, ->(answer) { Client.status(span, status.call(answer).to_i) }) { yield }
      end

      # A span for a call to this URL whose headers carry it.
      def begin(scope, method, url, set)
        scheme, rest = url.split('://', 2)
        authority = rest.to_s[%r{\A[^/?#]*}].sub(/\A.*@/, '')
        port = authority[/:(\d+)\z/, 1]&.to_i || (scheme == 'https' ? 443 : 80)
        span = Client.http(scope, method, url, authority.sub(/:\d+\z/, '').delete('[]'), port)
        carry(span, set) if span
        span
      rescue StandardError => error
        ObtraceZero.failed(scope, error)
      end

      private

      def carry(span, set)
        set.call('traceparent', Context.header(span))
        set.call('tracestate', span.tracestate) if span.tracestate
      rescue StandardError => error
        ObtraceZero.failed('headers', error)
      end
    end

    # HTTP::Client of http.rb.
    module HttpRb
      SCOPE = 'obtrace.ruby.http_rb'

      def perform(request, options)
        set = ->(name, value) { request.headers[name] = value unless request.headers.include?('traceparent') && name == 'traceparent' }
        HttpClients.run(SCOPE, request.verb, request.uri, set, ->(answer) { answer.code }) { super }
      end
    end

    # Excon::Connection.
    module ExconConnection
      SCOPE = 'obtrace.ruby.excon'

      def request(parameters = {}, &block)
        return super if Client.inside?(:http)

        given = parameters.is_a?(Hash) ? parameters : {}
        data = @data.merge(given)
        port = data[:port]
        url = "#{data[:scheme]}://#{data[:host]}#{":#{port}" if port && port.to_i != (data[:scheme] == 'https' ? 443 : 80)}#{data[:path]}"
        headers = (data[:headers] || {}).dup
        set = ->(name, value) { headers[name] = value unless headers.key?(name) }
        HttpClients.run(SCOPE, data[:method] || 'GET', url, set, ->(answer) { answer.status }) { super(given.merge(headers: headers), &block) }
      end
    end

    # HTTPClient: one exchange of a request and its answer, redirects one by one.
    module HttpClientGem
      SCOPE = 'obtrace.ruby.httpclient'

      def do_get_block(request, proxy, connection, &block)
        header = request.header
        set = ->(name, value) { header.set(name, value) if name != 'traceparent' || header['traceparent'].empty? }
        answer = ->(_) { HttpClientGem.status(connection) }
        HttpClients.run(SCOPE, header.request_method, header.request_uri, set, answer) { super }
      end

      # The answer lies in the connection's queue and goes back there.
      def self.status(connection)
        message = connection.pop
        connection.push(message)
        message.status
      end
    end

    # Typhoeus::Request, alone or in a Hydra: libcurl tells when it is complete.
    module Typhoeus
      SCOPE = 'obtrace.ruby.typhoeus'

      def self.begin(request)
        return if Client.inside?(:http) || request.instance_variable_get(:@obtrace_span)

        headers = request.options[:headers] ||= {}
        set = ->(name, value) { headers[name] = value unless headers.key?(name) }
        span = HttpClients.begin(SCOPE, request.options[:method] || :get, request.base_url, set)
        request.instance_variable_set(:@obtrace_span, span)
      rescue StandardError => error
        ObtraceZero.failed(SCOPE, error)
      end

      def self.ended(request, answer)
        span = request.instance_variable_get(:@obtrace_span) or return
        request.remove_instance_variable(:@obtrace_span)
        %w[traceparent tracestate].each { |name| request.options[:headers].delete(name) }
        code = answer.code.to_i
        code.zero? ? span.fail(answer.return_code.to_s) : Client.status(span, code)
        Metrics::CLIENT.add(span.finish, span)
      rescue StandardError => error
        ObtraceZero.failed(SCOPE, error)
      end
    end

    # Before libcurl gets the request, and after it has given the answer.
    module TyphoeusRequest
      def finish(answer, *)
        Typhoeus.ended(self, answer)
        super
      end
    end

    module TyphoeusFactory
      def get
        Typhoeus.begin(request) if ObtraceZero.active
        super
      end
    end
  end

  Hooks.before('HTTP::Client', :perform, HttpClients::HttpRb)
  Hooks.before('Excon::Connection', :request, HttpClients::ExconConnection)
  Hooks.before('HTTPClient', :do_get_block, HttpClients::HttpClientGem)
  Hooks.before('Typhoeus::Request', :finish, HttpClients::TyphoeusRequest)
  Hooks.before('Typhoeus::EasyFactory', :get, HttpClients::TyphoeusFactory)
end
