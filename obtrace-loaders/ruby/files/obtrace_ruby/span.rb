# frozen_string_literal: true

module ObtraceZero
  # A span, and the context of what happens in it. One of a kind that is not reported, or of a trace that is not
  # sampled, is there all the same: it carries the context.
  class Span
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5
    MOST_ATTRIBUTES = 128
    MOST_EVENTS = 32
    LONGEST_STACK = 16_384
    # What a library raises in place of the error that it has dealt with.
    WRAPPERS = %w[Sidekiq::JobRetry::Handled Sidekiq::JobRetry::Skip].freeze

    attr_reader :trace_id, :span_id, :parent_id, :sampled, :tracestate, :kind, :scope, :start, :end, :attributes, :events, :ended_at, :failure
    # `group` names what calls inside are not to be reported again (`:http`, `:sql`); `owner` is the object that is called.
    attr_accessor :name, :group, :owner, :message, :route, :links

    # `parent`: a span, what came from elsewhere, or nil for a new trace.
    def initialize(kind, name, scope, parent, attributes = {})
      @kind = kind
      @name = name
      @scope = scope
      @attributes = attributes
      @reported = Settings.traced?(kind)
      place(parent)
      @start = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
      @began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def []=(name, value)
      @attributes[name] = value unless value.nil? || (@attributes.size >= MOST_ATTRIBUTES && !@attributes.key?(name))
    end

    def [](name)
      @attributes[name]
    end

    # Marks the span as failed. `type`: what `error.type` says.
    def fail(type, message = nil)
      @failure = true
      @message ||= message
      @attributes['error.type'] ||= type
    end

    def failed?
      @failure
    end

    # The exception that ended what the span stands for.
    def raised(error)
      error = error.cause if error.cause && WRAPPERS.include?(error.class.name)
      name = error.class.name || error.class.to_s
      self.fail(name)
      note(error, name) if recording?
    rescue StandardError => problem
      ObtraceZero.failed('exception', problem)
    end

    # Whether it will be sent: what costs something to know is only looked up then.
    def recording?
      @sampled && @reported
    end

    # Ends the span and hands it over. Gives the seconds it took; nil where it had ended before.
    def finish
      return nil if @ended_at

      @ended_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      seconds = @ended_at - @began
      @end = @start + (seconds * 1_000_000_000).to_i
      @owner = nil
      Sender.traces.put(self) if @sampled && @reported
      seconds
    end

    private

    # A span that is not reported leaves its children to its parent.
    def place(parent)
      if parent
        @trace_id = parent.trace_id
        @parent_id = parent.span_id
        @sampled = parent.sampled
        @tracestate = parent.tracestate
        @span_id = @reported ? Ids.span : @parent_id
      else
        @trace_id = Ids.trace
        @sampled = Ids.sampled?(@trace_id)
        @span_id = Ids.span if @reported
      end
    end

    def note(error, name)
      @events ||= []
      return if @events.size >= MOST_EVENTS || @events.any? { |event| event[:error].equal?(error) }

      stack = Backtraces.of(error).join("\n")
      @events << { error: error, time: Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond), type: name,
                   text: error.message.to_s, stack: stack[0, LONGEST_STACK] }
    end
  end
end
