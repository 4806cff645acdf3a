# frozen_string_literal: true

# What the entry file reads where nothing speaks against it. It loads all of the loader before it touches anything of
# the application's: a file that is missing or cut short ends the start with nothing done.
module ObtraceZero
  VERSION = '0.1.0'
  FOLDER = File.dirname(File.expand_path(__FILE__)).freeze

  # The order is that of need: what stands later may use what stands before.
  FILES = %w[
    settings guards ids context backtraces span json resource otlp redact queue transport sender metrics runtime_metrics logs processes hooks
    libraries/rack libraries/rails libraries/client libraries/net_http libraries/http_clients libraries/sql libraries/redis
    libraries/jobs libraries/memcached
  ].freeze

  class << self
    # False once the loader stands aside: the hooks that are in place then only pass calls on.
    attr_reader :active

    # Starts the loader. Nil, or the reason why it steps aside.
    def start
      FILES.each { |name| require File.join(FOLDER, "#{name}.rb") }
      reason = Guards.reason
      return reason if reason

      @active = true
      Sender.start
      Processes.watch
      Hooks.start
      debug { "started: #{Settings.service_name}" }
      nil
    end

    # Stops for good: another agent appeared.
    def stand_aside(reason)
      return unless @active

      @active = false
      Hooks.stop
      Sender.discard
      debug { "stepping aside: #{reason}" }
    end

    # A line on standard error for `OBTRACE_DEBUG`, each text once.
    def debug
      return unless Settings.debug?

      text = yield
      @said ||= {}
      return if @said.key?(text) || @said.size >= 1000

      @said[text] = true
      STDERR.write("[obtrace] #{text}\n")
    rescue StandardError
      nil
    end

    # Says once what failed inside; for `rescue` clauses.
    def failed(where, error)
      debug { "#{where}: #{error.class}: #{error.message}" }
      nil
    end
  end
end
