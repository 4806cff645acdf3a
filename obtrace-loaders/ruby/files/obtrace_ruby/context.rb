# frozen_string_literal: true

module ObtraceZero
  # What came with a request from elsewhere: the place in a trace that our spans hang on.
  Remote = Struct.new(:trace_id, :span_id, :sampled, :tracestate)

  # W3C Trace Context in and out, and the current span of this piece of work.
  #
  # From Ruby 3.2 on it lies in the storage of fibers, which fibers and threads made inside inherit. Before, it is local
  # to the fiber, and `Processes` hands it to threads.
  module Context
    # Version 00 has nothing behind the flags; a later version may go on after another dash.
    HEADER = /\A[ \t]*(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*?)?[ \t]*\z/.freeze
    # What a header may have. A message can bring anything, and an application's call must not fail by it.
    STATE = /\A[\t\x20-\x7e]{1,512}\z/.freeze
    # A thread that inherited a span and outlives it by this many seconds no longer works for it.
    LINGER = 10
    # Says that nothing done now is of interest: we are sending, or a library keeps house.
    NOTHING = Object.new.freeze

    if Fiber.respond_to?(:[]=)
      def self.raw
        Fiber[:obtrace]
      end

      def self.raw=(value)
        Fiber[:obtrace] = value
      end

      def self.inherited?
        true
      end
    else
      def self.raw
        Thread.current[:obtrace]
      end

      def self.raw=(value)
        Thread.current[:obtrace] = value
      end

      def self.inherited?
        false
      end
    end

    class << self
      # The span that new ones become children of, or nil.
      def current
        span = raw
        return nil if span.nil? || NOTHING.equal?(span)

        ended = span.ended_at
        return span unless ended && Process.clock_gettime(Process::CLOCK_MONOTONIC) - ended > LINGER

        self.raw = nil
      end

      # Whether what happens now is not to be reported at all.
      def nothing?
        NOTHING.equal?(raw)
      end

      # Runs the block unreported.
      def quietly
        before = raw
        self.raw = NOTHING
        yield
      ensure
        self.raw = before
      end

      # Runs the block with this span (or none) as the current one.
      def with(span)
        before = raw
        self.raw = span
        yield
      ensure
        self.raw = before
      end

      # What the headers say, or nil where they say nothing valid.
      def read(traceparent, tracestate = nil)
        return nil if traceparent.nil?

        found = HEADER.match(traceparent) or return nil
        return nil if found[5] && found[1] == '00'

        state = tracestate if tracestate&.b&.match?(STATE)
        Remote.new(found[2], found[3], found[4].hex & 1 == 1, state)
      rescue ArgumentError, EncodingError
        nil
      end

      # The `traceparent` that a call made from this span carries.
      def header(span)
        "00-#{span.trace_id}-#{span.span_id || Ids.span}-#{span.sampled ? '01' : '00'}"
      end
    end
  end
end
