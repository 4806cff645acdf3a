# frozen_string_literal: true

module ObtraceZero
  # The variables of the contract (section 3), read once at the start. Empty counts as unset.
  module Settings
    SIGNALS = %w[traces logs metrics].freeze
    KINDS = { 'internal' => 1, 'server' => 2, 'client' => 3, 'producer' => 4, 'consumer' => 5 }.freeze

    module_function

    # A variable's value, or nil where it is unset or empty.
    def value(name, env = ENV)
      text = env[name]
      text unless text.nil? || text.empty?
    end

    # `0`, `false` and the empty string are off, anything else is on.
    def on?(name, env = ENV)
      !['', '0', 'false'].include?(env[name].to_s.downcase)
    end

    # The ratio of `OBTRACE_TRACE_SAMPLE_RATIO`: 0 to 1, 1 where it cannot be read.
    def ratio(env = ENV)
      text = value('OBTRACE_TRACE_SAMPLE_RATIO', env).to_s.strip
      return 1.0 unless text.match?(/\A[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\z/)

      # Ruby reads neither `.5` nor `5.`; both are numbers elsewhere.
      text.sub(/\A([+-]?)\./, '\10.').sub(/\.(?=[eE]|\z)/, '').to_f.clamp(0.0, 1.0)
    end

    # The words of a comma-separated variable that are among `known`, or all of these where it is unset.
    def words(name, known, env = ENV)
      text = value(name, env) or return known
      text.downcase.split(',').map(&:strip) & known
    end

    def read
      @ingest_url = value('OBTRACE_INGEST_URL').to_s.strip.sub(%r{/+\z}, '')
      # A Secret made from a file ends in a line feed; one within would be a header of its own.
      key = value('OBTRACE_API_KEY').to_s.b.strip
      @api_key = key.empty? || key.match?(/[\x00-\x1f\x7f]/n) ? nil : key
      @ratio = ratio
      @signals = words('OBTRACE_SIGNALS', SIGNALS).to_h { |word| [word.to_sym, true] }.freeze
      @traced = words('OBTRACE_TRACED', KINDS.keys).to_h { |word| [KINDS[word], true] }.freeze
      seconds = value('OBTRACE_METRIC_INTERVAL').to_s
      @metric_interval = seconds.match?(/\A\s*\d+(\.\d+)?\s*\z/) && seconds.to_f >= 1 ? seconds.to_f : 60.0
      @debug = on?('OBTRACE_DEBUG')
    end

    class << self
      attr_reader :ingest_url, :api_key, :metric_interval

      def debug?
        @debug
      end

      # Whether the signal (`:traces`, `:logs`, `:metrics`) is sent.
      def signal?(name)
        @signals.key?(name)
      end

      # Whether spans of this kind (a number of OTLP) are reported.
      def traced?(kind)
        @traced.key?(kind)
      end

      # What the sampler compares with the last 56 bits of a trace's id.
      def threshold
        @threshold ||= (@ratio * (1 << 56)).to_i
      end

      def service_name
        Resource.service_name(ENV)
      end
    end

    read
  end
end
