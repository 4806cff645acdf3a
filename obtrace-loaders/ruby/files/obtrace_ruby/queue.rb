# frozen_string_literal: true

module ObtraceZero
  # The items of one signal that wait to be sent, and what became of those that were. `put` is called from anywhere,
  # trap handlers among it, where no mutex may be locked: `Thread::Queue` needs none.
  class Lane
    CAPACITY = 5000
    LARGEST_BATCH = 500
    # Seconds between the first item and its batch.
    PATIENCE = 2
    # Seconds before the second and the third attempt.
    PAUSES = [2, 4].freeze
    LONGEST_PAUSE = 30

    attr_reader :signal, :dropped

    # `largest`: items in a batch.
    def initialize(signal, largest = LARGEST_BATCH, &encode)
      @signal = signal
      @largest = largest
      @encode = encode
      @sent = Settings.signal?(signal)
      reset
    end

    # Empties it: what is queued when a process forks belongs to the parent.
    def reset
      @queue = Thread::Queue.new
      @dropped = Hash.new(0)
      @batch = nil
      @attempts = 0
      @since = nil
      @retry_at = 0
    end

    def sent?
      @sent
    end

    # Queues an item, or drops and counts it.
    def put(item)
      return unless @sent && ObtraceZero.active

      size = @queue.size
      if size >= CAPACITY
        @dropped['queue_full'] += 1
        return
      end
      @since = Process.clock_gettime(Process::CLOCK_MONOTONIC) if size.zero?
      @queue << item
      Sender.called(size + 1) if size.zero? || (size + 1) % @largest == 0
    end

    def empty?
      @batch.nil? && @queue.empty?
    end

    # When there is something to do, by the monotonic clock; nil where nothing waits.
    def due
      return @retry_at if @batch
      return nil if @queue.empty?
      return 0 if @queue.size >= @largest

      (@since || 0) + PATIENCE
    end

    # Sends a batch if one is due, or at once if `now` is nil (the process ends; then there is one attempt only). False
    # if the other side cannot be reached, so that a process that ends need not try further.
    def step(transport, now)
      return true if now && (at = due).nil? || now && at > now

      @batch ||= take or return true
      @attempts += 1
      outcome, pause = transport.post(@signal, @body ||= @encode.call(@batch))
      settle(outcome, pause, now)
      outcome != :unreachable
    rescue StandardError => error
      ObtraceZero.failed("batch of #{@signal}", error)
      drop('send_failed') if @batch
      true
    end

    private

    def take
      items = []
      items << @queue.pop(true) while items.size < @largest && !@queue.empty?
      @since = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      items unless items.empty?
    end

    def settle(outcome, pause, now)
      case outcome
      when :taken then clear
      when :refused then drop('rejected')
      else
        again = PAUSES[@attempts - 1]
        return drop('send_failed') if now.nil? || again.nil?

        @retry_at = Process.clock_gettime(Process::CLOCK_MONOTONIC) + (pause && pause <= LONGEST_PAUSE ? pause : again)
      end
    end

    def drop(reason)
      @dropped[reason] += @batch.sum { |item| item.is_a?(Metrics::Bundle) ? item.points : 1 }
      ObtraceZero.debug { "#{@signal}: items dropped: #{reason}" }
      clear
    end

    def clear
      @batch = @body = nil
      @attempts = 0
    end
  end
end
