# frozen_string_literal: true

module ObtraceZero
  # Ruby prints the error that ends a process after all handlers have run: without our lines, as without us.
  module Backtraces
    OWN_FRAMES = "#{FOLDER}/"
    MOST_CAUSES = 20
    # Ruby looks up the places of these to underline what was wrong, and a backtrace that was set has none.
    UNDERLINED = [NameError, TypeError, ArgumentError].freeze

    module_function

    # The lines of an error that are not ours.
    def of(error)
      error.backtrace.to_a.reject { |line| line.start_with?(OWN_FRAMES) }
    end

    # Takes our lines out of an error and of what caused it.
    def clean(error)
      MOST_CAUSES.times do
        return if error.nil?

        lines = of(error)
        error.set_backtrace(lines) if lines.size < error.backtrace.to_a.size && UNDERLINED.none? { |kind| error.is_a?(kind) }
        error = error.cause
      end
    rescue StandardError => problem
      ObtraceZero.failed('backtrace', problem)
    end
  end
end
