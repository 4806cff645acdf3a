# frozen_string_literal: true

module ObtraceZero
  # Ids of traces and spans, and whether a trace that begins here is kept.
  module Ids
    NO_TRACE = ('0' * 32).freeze
    NO_SPAN = ('0' * 16).freeze

    @random = Random.new

    class << self
      # A generator of its own for a process that was forked: else parent and child would make the same ids.
      def forked
        @random = Random.new
      end

      def trace
        made(16, NO_TRACE)
      end

      def span
        made(8, NO_SPAN)
      end

      # A random UUID, version 4.
      def uuid
        bytes = @random.bytes(16)
        bytes.setbyte(6, bytes.getbyte(6) & 0x0f | 0x40)
        bytes.setbyte(8, bytes.getbyte(8) & 0x3f | 0x80)
        bytes.unpack('H8H4H4H4H12').join('-')
      end

      # Whether a new trace with this id is kept: its last 56 bits against the ratio.
      def sampled?(trace_id, threshold = Settings.threshold)
        trace_id[18, 14].hex < threshold
      end

      private

      def made(size, none)
        id = @random.bytes(size).unpack1('H*')
        id == none ? made(size, none) : id
      end
    end
  end
end
