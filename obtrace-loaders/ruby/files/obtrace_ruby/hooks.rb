# frozen_string_literal: true

module ObtraceZero
  # Waits for the libraries of the application and puts our modules before their classes.
  #
  # A trace point tells of each `class … end` and `module … end` that was read, and of nothing else: it costs while files
  # load. It is off once every library was seen, when another agent appears, and ten minutes after the start at the latest.
  module Hooks
    LONGEST = 600
    MODULE_NAME = Module.instance_method(:name)
    @waiting = {}

    class << self
      # Runs the block with the module of this name when it has been read and has the method `has` (an instance method,
      # if given). A block that gives false wants to see it again.
      def on(name, has = nil, &install)
        (@waiting[name] ||= []) << [has, install]
      end

      # Puts `hook` before the class when it has the method. What the class does not have, in its version, the hook
      # loses; what is private there stays so.
      def before(name, has, hook)
        on(name, has) do |target|
          hook.instance_methods(false).each do |method|
            if target.private_method_defined?(method) then hook.send(:private, method)
            elsif !target.method_defined?(method) then hook.send(:remove_method, method)
            end
          end
          target.prepend(hook)
        end
      end

      def start
        @until = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LONGEST
        Guards::MODULES.each { |name, text| on(name) { ObtraceZero.stand_aside("#{text} is there") } }
        @waiting.keys.each do |name|
          found = Guards.defined_module(name)
          seen(name, found) if found
        end
        return if @waiting.empty? || !ObtraceZero.active

        @trace = TracePoint.new(:end) do |point|
          name = MODULE_NAME.bind_call(point.self)
          Hooks.seen(name, point.self) if @waiting.key?(name)
        end
        @trace.enable
      end

      def stop
        @trace&.disable
        @trace = nil
      end

      # Stops waiting when it took long enough.
      def expire(now)
        stop if @trace && now > @until
      end

      def seen(name, target)
        expire(Process.clock_gettime(Process::CLOCK_MONOTONIC))
        left = @waiting[name].reject { |has, install| installed?(target, has, install, name) }
        left.empty? ? @waiting.delete(name) : @waiting[name] = left
        stop if @waiting.empty?
      rescue StandardError => error
        ObtraceZero.failed(name, error)
      end

      private

      def installed?(target, has, install, name)
        return false if has && !target.method_defined?(has) && !target.private_method_defined?(has)

        done = install.call(target) != false
        ObtraceZero.debug { "hooked: #{name}" } if done && ObtraceZero.active
        done
      rescue StandardError => error
        ObtraceZero.failed(name, error)
        true
      end
    end

    before 'Logger', :format_message, Logs::Hook
    on('ActiveSupport::Logger') { Logs.echoes = true }
    before 'Concurrent::RubyExecutorService', :post, Processes::Pool
  end
end
