# frozen_string_literal: true

module ObtraceZero
  # The thread that sends. It begins with the first item of a process, so that every fork has its own when it needs it,
  # and ends with the process, for which it gets two seconds at most.
  module Sender
    # A lost wake-up costs no more than this (seconds).
    NAP = 0.5
    FAREWELL = 2
    GROUP = ThreadGroup.new

    # Applications wait for all that `Thread.list` has, or count it: what is ours is not in it.
    module Hidden
      def list
        threads = super
        threads.delete(Sender.thread)
        threads
      rescue StandardError
        # A Ractor of its own: ours is not among its threads, and not to be seen from there.
        threads || raise
      end
    end

    class << self
      attr_reader :traces, :logs, :metrics, :thread

      def start
        @traces = Lane.new(:traces) { |items| Otlp.traces(items) }
        @logs = Lane.new(:logs) { |items| Otlp.logs(items) }
        @metrics = Lane.new(:metrics, 1) { |bundles| Otlp.metrics(bundles[0].parts) }
        @pid = Process.pid
        Thread.singleton_class.prepend(Hidden)
        # Handlers run last to first: ours comes after all of the application's.
        at_exit do
          Backtraces.clean($!) if ObtraceZero.active
          Sender.finish
        end
      end

      # Says that a lane has its first item or a full batch.
      def called(size)
        thread = @thread
        # The application may have killed all the threads it found.
        if thread.nil? || !thread.alive? || @pid != Process.pid
          forked if @pid != Process.pid
          begin_thread unless @deadline
        elsif size > 1
          thread.wakeup
        end
      rescue ThreadError
        # It just ended: the process does as well.
        nil
      end

      # A forked process has no thread and owns nothing of what is queued.
      def forked
        forget_thread
        lanes.each(&:reset)
        Metrics.reset
        Ids.forked
      end

      # `Process.daemon` goes on with what was there.
      def forget_thread
        @pid = Process.pid
        @thread = @deadline = nil
        @transport&.abandon
      end

      # The thread of a process that may be alone with queued items.
      def resume
        begin_thread unless lanes.all?(&:empty?)
      end

      def discard
        lanes.each(&:reset)
      end

      # At the end of the process. It never raises what is ours, and takes two seconds at most.
      def finish
        return unless ObtraceZero.active && @pid == Process.pid && (@thread || lanes.any? { |lane| !lane.empty? })

        @deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + FAREWELL
        begin_thread unless @thread&.alive?
        @thread.wakeup
        @thread.join(FAREWELL)
      rescue StandardError => error
        ObtraceZero.failed('end', error)
      end

      def lanes
        [@traces, @logs, @metrics]
      end

      private

      def begin_thread
        @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { run } }
        @thread.name = 'obtrace'
        @thread.report_on_exception = false
        apart(@thread)
      rescue ThreadError, NotImplementedError => error
        # No more threads, or a machine that has none.
        @thread = nil
        ObtraceZero.failed('thread', error)
      end

      # Whoever waits for all threads of a group does not wait for ours.
      def apart(thread)
        GROUP.add(thread)
      rescue ThreadError
        # The group is enclosed: nothing leaves it.
        nil
      end

      def run
        Context.raw = Context::NOTHING
        @transport ||= Transport.new(Settings.ingest_url) { @deadline }
        @report_at = clock + Settings.metric_interval
        work until @deadline
        last
      rescue Exception => error # rubocop:disable Lint/RescueException -- Thread.abort_on_exception would end the application
        ObtraceZero.failed('sender', error)
      end

      def work
        now = clock
        if now >= @report_at
          @report_at = now + Settings.metric_interval
          report
        end
        lanes.each { |lane| lane.step(@transport, now) unless @deadline } if @transport.ready?
        Hooks.expire(now)
        # What is due waits, too, as long as nothing can be sent: never without a pause, the application needs the lock of the VM.
        due = lanes.filter_map(&:due).min if @transport.ready?
        pause = due ? (due - clock).clamp(0, NAP) : NAP
        sleep(pause) unless @deadline || pause.zero?
      end

      # What is left, as long as somebody takes it.
      def last
        report
        lanes.each do |lane|
          until lane.empty?
            return unless clock < @deadline && lane.step(@transport, nil)
          end
        end
      end

      def report
        return unless @metrics.sent?

        Metrics.report.each { |item| @metrics.put(item) }
      rescue StandardError => error
        ObtraceZero.failed('metrics', error)
      end

      def clock
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
