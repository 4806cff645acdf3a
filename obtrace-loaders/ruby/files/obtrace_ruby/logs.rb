# frozen_string_literal: true

module ObtraceZero
  # What the application's loggers say, as log records. The output itself is not touched.
  module Logs
    LONGEST_BODY = 16_384
    SEVERITY = { 'DEBUG' => 5, 'INFO' => 9, 'WARN' => 13, 'ERROR' => 17, 'FATAL' => 21, 'ANY' => 9, 'UNKNOWN' => 9 }.freeze
    # Two loggers that one broadcasts to say the same within this time (seconds): the first one's output may be slow.
    ECHO = 0.05

    Record = Struct.new(:time, :severity, :level, :body, :scope, :trace_id, :span_id, :sampled, :attributes)

    class << self
      # Set where loggers may repeat what others said.
      attr_writer :echoes

      def emit(logger, level, progname, message)
        return unless Sender.logs.sent? && ObtraceZero.active && !Context.nothing? && !(@echoes && echo?(logger, message))

        span = Context.current
        record = Record.new(Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond), SEVERITY.fetch(level.to_s, 9), level.to_s,
                            body(message), name(progname))
        if span
          record.trace_id = span.trace_id
          record.span_id = span.span_id
          record.sampled = span.sampled
        end
        record.attributes = exception(message) if message.is_a?(Exception)
        Sender.logs.put(record)
      rescue StandardError => error
        ObtraceZero.failed('log', error)
      end

      private

      # Rails 6 and 7.0 let a logger repeat what another one said.
      def echo?(logger, message)
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        last = Thread.current[:obtrace_log]
        Thread.current[:obtrace_log] = [logger, message, now]
        last && !last[0].equal?(logger) && now - last[2] < ECHO && last[1] == message
      end

      def body(message)
        text = case message
               when String then message
               when Exception then message.message.to_s
               else message.inspect
               end
        text.length > LONGEST_BODY ? text[0, LONGEST_BODY] : text.dup
      end

      def name(progname)
        progname.is_a?(String) && !progname.empty? ? progname : 'Logger'
      end

      def exception(error)
        { 'exception.type' => error.class.name.to_s, 'exception.message' => error.message.to_s,
          'exception.stacktrace' => error.backtrace.to_a.join("\n")[0, Span::LONGEST_STACK] }
      end
    end

    # `format_message` is what a Logger calls exactly when it writes, with everything decided: level, block, name.
    module Hook
      def format_message(severity, datetime, progname, message)
        Logs.emit(self, severity, progname, message)
        super
      end
    end
  end
end
