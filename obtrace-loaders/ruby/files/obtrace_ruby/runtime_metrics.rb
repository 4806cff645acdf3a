# frozen_string_literal: true

module ObtraceZero
  # What the process and the Ruby machine say of themselves, and what was dropped.
  module RuntimeMetrics
    STARTED = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)

    module_function

    # Pairs of the number of data points and a metric as JSON.
    def report(now)
      times = Process.times
      collector = GC.stat
      made = [
        sum('process.cpu.time', 's', now, [[times.utime, { 'cpu.mode' => 'user' }], [times.stime, { 'cpu.mode' => 'system' }]]),
        sum('process.memory.usage', 'By', now, [[resident, {}]], monotonic: false),
        sum('process.thread.count', '{thread}', now, [[Thread.list.size, {}]], monotonic: false),
        sum('ruby.gc.count', '{collection}', now,
            [[collector[:minor_gc_count], { 'ruby.gc.type' => 'minor' }], [collector[:major_gc_count], { 'ruby.gc.type' => 'major' }]]),
        sum('ruby.gc.heap.slots', '{slot}', now,
            [[collector[:heap_live_slots], { 'ruby.gc.heap.slot.state' => 'live' }], [collector[:heap_free_slots], { 'ruby.gc.heap.slot.state' => 'free' }]],
            monotonic: false),
        sum('ruby.gc.allocated_objects', '{object}', now, [[collector[:total_allocated_objects], {}]])
      ]
      # Ruby 3.1 and later measure it, in milliseconds.
      made << sum('ruby.gc.duration', 's', now, [[collector[:time] / 1000.0, {}]]) if collector.key?(:time)
      made << dropped(now)
      made.compact
    end

    def dropped(now)
      points = Sender.lanes.flat_map { |lane| lane.dropped.map { |reason, count| [count, { 'signal' => lane.signal.to_s, 'reason' => reason }] } }
      sum('obtrace.loader.dropped', '{item}', now, points) unless points.empty?
    end

    # A sum; points without a value are left out.
    def sum(name, unit, now, points, monotonic: true)
      points = points.reject { |value, _| value.nil? }
      return nil if points.empty?

      texts = points.map do |value, attributes|
        number = value.is_a?(Integer) ? "\"asInt\":\"#{value}\"" : "\"asDouble\":#{value}"
        "{\"startTimeUnixNano\":\"#{STARTED}\",\"timeUnixNano\":\"#{now}\",#{number},\"attributes\":#{Otlp.attributes(attributes)}}"
      end
      [points.size, "{\"name\":\"#{name}\",\"unit\":\"#{unit}\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":#{monotonic}," \
                    "\"dataPoints\":[#{texts.join(',')}]}}"]
    end

    # Bytes of memory that are there.
    def resident
      File.read('/proc/self/status')[/^VmRSS:\s+(\d+) kB/, 1]&.then { |text| text.to_i * 1024 }
    rescue SystemCallError
      nil
    end
  end
end
