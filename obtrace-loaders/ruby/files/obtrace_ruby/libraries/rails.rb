# frozen_string_literal: true

module ObtraceZero
  # Rails: the route of a request. Requests themselves are Rack's, queries the drivers'.
  module Rails
    ROUTES = 'obtrace.routes'
    FORMAT = /\(\.:format\)\z/.freeze

    # Before Rails 7.1 nobody says which route was taken: the router gives those that fit, best first.
    module Router
      def find_routes(request, *rest)
        found = super
        begin
          if found.is_a?(Array) && (env = request.env)[Rack::KEY]
            prefix = env['SCRIPT_NAME'].to_s
            found.each { |_, _, route| (env[ROUTES] ||= []) << [prefix, route] } if found.size <= 100
          end
        rescue StandardError => error
          ObtraceZero.failed('rails', error)
        end
        found
      end
    end

    class << self
      # The pattern of the route that was taken, or nil.
      def route(env)
        pattern = env['action_dispatch.route_uri_pattern']
        return plain(pattern) if pattern
        return nil unless (found = env.delete(ROUTES))

        # An engine's routes were found after those of the application that leads to it.
        prefix, route = found.reverse_each.find { |_, it| it.respond_to?(:dispatcher?) && it.dispatcher? && taken?(it, env) } || found.last
        plain("#{prefix}#{route.path.spec}")
      end

      private

      def taken?(route, env)
        taken = env['action_dispatch.request.path_parameters'] or return true
        route.defaults.all? { |name, value| !taken.key?(name) || taken[name].to_s == value.to_s }
      end

      def plain(pattern)
        pattern.to_s.sub(FORMAT, '')
      end
    end
  end

  Hooks.before('ActionDispatch::Journey::Router', :find_routes, Rails::Router)
end
