# frozen_string_literal: true

module ObtraceZero
  # Servers of HTTP that speak Rack: Puma, Unicorn, WEBrick, Thin and whatever runs a `config.ru`. Sinatra and Grape tell
  # their routes here; Rails' are in `rails.rb`.
  module Rack
    SCOPE = 'obtrace.ruby.rack'
    # Where the span of a request lies in its environment.
    KEY = 'obtrace.span'
    KNOWN = %w[GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY].to_h { |name| [name, true] }.freeze
    VERSIONS = Hash.new { |_, text| text&.delete_prefix('HTTP/') }.merge!('HTTP/1.0' => '1.0', 'HTTP/1.1' => '1.1', 'HTTP/2' => '2').freeze
    MOST_HOSTS = 100
    @hosts = {}
    # Where frameworks leave an exception that they answered themselves.
    ERRORS = %w[sinatra.error action_dispatch.exception rack.exception].freeze

    # The application with a span around each request. Everything but `call` goes to the application itself.
    class Application
      def initialize(app)
        @app = app
      end

      def call(env)
        return @app.call(env) if !ObtraceZero.active || env.key?(KEY)

        span = Rack.begin(env)
        return @app.call(env) if span.nil?

        before = Context.raw
        Context.raw = span
        begin
          response = @app.call(env)
        rescue Exception => error # rubocop:disable Lint/RescueException -- it is raised again
          Rack.failed(span, env, error)
          raise
        ensure
          Context.raw = before
          # A `throw` passes both: the server answers later (Thin).
          Rack.thrown(span, env) if response.nil?
        end
        Rack.answered(span, env, response)
      end

      def method_missing(name, *arguments, &block)
        @app.__send__(name, *arguments, &block)
      end
      ruby2_keywords(:method_missing) if respond_to?(:ruby2_keywords, true)

      def respond_to_missing?(name, all = false)
        @app.respond_to?(name, all)
      end
    end

    # Ends the span when the server has answered: what Puma and Unicorn call after a reply.
    class Ending
      def initialize(span, env)
        @span = span
        @env = env
      end

      def call(*)
        Rack.ended(@span, @env)
      end
    end

    # A body that ends the span when the server closes it. Everything but `each` and `close` goes to the body itself.
    class Body
      def initialize(body, span, env)
        @body = body
        @span = span
        @env = env
      end

      def each(&block)
        Context.with(@span) { @body.each(&block) }
      end

      def close
        @body.close if @body.respond_to?(:close)
      ensure
        Rack.ended(@span, @env)
      end

      def method_missing(name, *arguments, &block)
        @body.__send__(name, *arguments, &block)
      end
      ruby2_keywords(:method_missing) if respond_to?(:ruby2_keywords, true)

      def respond_to_missing?(name, all = false)
        @body.respond_to?(name, all)
      end
    end

    class << self
      def wrap(app)
        app.nil? || app.is_a?(Application) || !app.respond_to?(:call) ? app : Application.new(app)
      end

      def begin(env)
        method = env['REQUEST_METHOD']
        known = KNOWN.key?(method)
        parent = Context.read(env['HTTP_TRACEPARENT'], env['HTTP_TRACESTATE'])
        span = Span.new(Span::SERVER, known ? method : 'HTTP', SCOPE, parent,
                        'http.request.method' => known ? method : '_OTHER', 'url.scheme' => env['rack.url_scheme'],
                        'network.protocol.version' => VERSIONS[env['HTTP_VERSION'] || env['SERVER_PROTOCOL']])
        span['http.request.method_original'] = method unless known
        describe(span.attributes, env) if span.recording?
        env[KEY] = span
      rescue StandardError => error
        ObtraceZero.failed('request', error)
      end

      def failed(span, env, error)
        route(span, env)
        span.raised(error)
        span['http.response.status_code'] ||= 500 if error.is_a?(StandardError)
        measure(span)
      end

      # The answer will come by another way; what is known is told.
      def thrown(span, env)
        return if span.ended_at

        route(span, env)
        measure(span)
      rescue StandardError => error
        ObtraceZero.failed('request', error)
      end

      # Says what came of a request; gives the response on, its body wrapped where nothing else tells of its end.
      def answered(span, env, response)
        status = response[0].to_i
        return response if status < 100

        route(span, env)
        span['http.response.status_code'] = status
        if status >= 500
          error = ERRORS.lazy.filter_map { |name| env[name] }.first
          span.raised(error) if error.is_a?(Exception)
          span.fail(status.to_s)
        end
        body = response[2]
        return measured(span, response) if body.instance_of?(Array) || status == 101 || env['rack.hijack_io']

        later(span, env, response, body)
      rescue StandardError => error
        span.finish
        ObtraceZero.failed('response', error)
        response
      end

      def ended(span, env)
        ERRORS.each { |name| span.raised(env[name]) if env[name].is_a?(Exception) } if span.failed?
        measure(span)
      rescue StandardError => error
        ObtraceZero.failed('end of a response', error)
      end

      # Names the span by its route. `prefix`: where the framework is mounted.
      def named(env, prefix, pattern)
        span = env[KEY] or return
        path = "#{prefix}#{pattern}"
        path = "/#{path}" unless path.start_with?('/')
        span.route = path
      end

      private

      # Nil values are left out when the span is sent.
      def describe(attributes, env)
        prefix = env['SCRIPT_NAME']
        path = env['PATH_INFO']
        attributes['url.path'] = prefix.nil? || prefix.empty? ? path : "#{prefix}#{path}"
        name, port = host(env['HTTP_HOST'] || env['SERVER_NAME'])
        attributes['server.address'] = name
        attributes['server.port'] = port || env['SERVER_PORT']&.to_i
        forwarded = env['HTTP_X_FORWARDED_FOR']
        attributes['client.address'] = forwarded ? forwarded[/\A[^,\s]+/] : env['REMOTE_ADDR']
        attributes['user_agent.original'] = env['HTTP_USER_AGENT']
      end

      # The name and the port of a `Host` header.
      def host(text)
        return @hosts[text] if @hosts.key?(text)

        found = text.to_s.match?(/:\d+\z/) ? text.rpartition(':').then { |name, _, port| [name, port.to_i] } : [text, nil]
        @hosts[text.dup.freeze] = found.freeze if @hosts.size < MOST_HOSTS
        found
      end

      def route(span, env)
        path = span.route || Rails.route(env) || sinatra(env) or return
        span['http.route'] = path
        span.name = "#{span.name} #{path}"
      rescue StandardError => error
        ObtraceZero.failed('route', error)
      end

      # Sinatra leaves `GET /path`; an application below a prefix is told by `SinatraCall`.
      def sinatra(env)
        env['sinatra.route']&.split(' ', 2)&.last
      end

      def measure(span)
        Metrics::SERVER.add(span.finish, span)
      end

      def measured(span, response)
        measure(span)
        response
      end

      def later(span, env, response, body)
        if (calls = env['rack.after_reply'] || env['rack.response_finished']).is_a?(Array)
          calls << Ending.new(span, env)
          response
        elsif body.respond_to?(:each)
          [response[0], response[1], Body.new(body, span, env)]
        else
          measured(span, response)
        end
      end
    end

    # `config.ru`, `Rack::Builder.new { … }`, and all of Sinatra.
    module Builder
      def to_app
        Rack.wrap(super)
      end
    end

    # Servers that were given an application without a builder.
    module Server
      def initialize(app, *rest)
        super(Rack.wrap(app), *rest)
      end
      ruby2_keywords(:initialize) if respond_to?(:ruby2_keywords, true)
    end

    # WEBrick's handler gets the server first.
    module Handler
      def initialize(server, app, *rest)
        super(server, Rack.wrap(app), *rest)
      end
      ruby2_keywords(:initialize) if respond_to?(:ruby2_keywords, true)
    end

    module ThinServer
      def app=(app)
        super(Rack.wrap(app))
      end
    end

    # The route of Sinatra with the prefix below which it is mounted.
    module SinatraCall
      def call!(env)
        super
      ensure
        begin
          pattern = env['sinatra.route']
          Rack.named(env, env['SCRIPT_NAME'], pattern.split(' ', 2).last) if pattern
        rescue StandardError => error
          ObtraceZero.failed('sinatra', error)
        end
      end
    end

    # The route of Grape: its endpoint knows it while it runs.
    module GrapeRun
      def run(*)
        super
      ensure
        begin
          pattern = env['grape.routing_args'] && env['grape.routing_args'][:route_info]
          Rack.named(env, env['SCRIPT_NAME'], pattern.origin.to_s.sub(/\(\.:format\)\z/, '')) if pattern.respond_to?(:origin)
        rescue StandardError => error
          ObtraceZero.failed('grape', error)
        end
      end
    end
  end

  Hooks.before('Rack::Builder', :to_app, Rack::Builder)
  Hooks.before('Puma::Rack::Builder', :to_app, Rack::Builder)
  Hooks.before('Puma::Server', :initialize, Rack::Server)
  Hooks.before('Rack::Handler::WEBrick', :service, Rack::Handler)
  Hooks.before('Rackup::Handler::WEBrick', :service, Rack::Handler)
  Hooks.before('Thin::Server', :app=, Rack::ThinServer)
  Hooks.before('Sinatra::Base', :call!, Rack::SinatraCall)
  Hooks.before('Grape::Endpoint', :run, Rack::GrapeRun)
end
