# frozen_string_literal: true

module ObtraceZero
  # Memcached by Dalli: every command goes through `perform` of its client.
  module Memcached
    SCOPE = 'obtrace.ruby.dalli'
    SYSTEM = 'memcached'

    module Hook
      def perform(*arguments)
        return super if Client.inside?(SYSTEM)

        operation = arguments[0].to_s
        span = Client.begin(Span::CLIENT, operation, SCOPE, SYSTEM, { 'db.system.name' => SYSTEM, 'db.operation.name' => operation })
        Client.query(span) { super }
      end
    end
  end

  Hooks.before('Dalli::Client', :perform, Memcached::Hook)
end
