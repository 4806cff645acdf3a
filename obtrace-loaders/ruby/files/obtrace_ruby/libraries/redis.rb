# frozen_string_literal: true

module ObtraceZero
  # Redis: the client of redis-rb up to 4 and redis-client, on which redis-rb 5 and Sidekiq 7 are built.
  module Redis
    SCOPE = 'obtrace.ruby.redis'
    SYSTEM = 'redis'
    # Calls that wait for others; where nothing asked for them they are a library's polling.
    WAITING = %w[BLPOP BRPOP BRPOPLPUSH BLMOVE BZPOPMIN BZPOPMAX XREAD XREADGROUP SUBSCRIBE PSUBSCRIBE MONITOR].to_h { |name| [name, true] }.freeze
    MOST_ARGUMENTS = 10

    class << self
      # Runs commands (lists of words) in one span.
      def run(commands, target)
        return yield if Client.inside?(SYSTEM) || commands.empty?

        span = self.begin(commands, target)
        span ? Client.query(span) { yield } : yield
      end

      def begin(commands, target)
        name = commands.size == 1 ? word(commands[0]) : 'PIPELINE'
        return nil if WAITING.key?(name) && Context.current.nil?

        target = target.call
        span = Client.begin(Span::CLIENT, "#{name} #{target['db.namespace']}", SCOPE, SYSTEM,
                            { 'db.system.name' => SYSTEM, 'db.operation.name' => name }.merge!(target))
        if span.recording?
          span['db.query.text'] = commands.first(MOST_ARGUMENTS).map { |command| text(command) }.join("\n")
          span['db.operation.batch.size'] = commands.size if commands.size > 1
        end
        span
      rescue StandardError => error
        ObtraceZero.failed(SCOPE, error)
      end

      # Where a client, or the settings of one, leads.
      def target(client)
        path = client.path
        { 'db.namespace' => client.db.to_s, 'server.address' => path || client.host, 'server.port' => (client.port.to_i unless path) }.compact
      end

      private

      def word(command)
        command = command.first while command.is_a?(Array)
        command.to_s.upcase
      end

      # The command's name; keys and values are not told.
      def text(command)
        "#{word(command)}#{' ?' * [command.flatten.size - 1, MOST_ARGUMENTS].min}"
      end
    end

    # Redis::Client of redis-rb 3 and 4: everything it sends goes through `process`.
    module Old
      def process(commands)
        Redis.run(commands, -> { Redis.target(self) }) { super }
      end
    end

    # A middleware of redis-client.
    module Middleware
      def call(command, config)
        Redis.run([command], -> { Redis.target(config) }) { super }
      end

      def call_pipelined(commands, config)
        Redis.run(commands, -> { Redis.target(config) }) { super }
      end
    end
  end

  Hooks.before('Redis::Client', :process, Redis::Old)
  Hooks.on('RedisClient') do |target|
    next false unless target.respond_to?(:register)

    target.register(Redis::Middleware)
  end
end
