# frozen_string_literal: true

module ObtraceZero
  # Forks get a state of their own; threads made inside a span work for it.
  module Processes
    # Ruby 3.1 and later call this for every fork that Ruby code makes.
    module Fork
      def _fork
        pid = super
        Sender.forked if pid.zero?
        pid
      end
    end

    # A daemon is the same process in a new one: the parent leaves without sending.
    module Daemon
      def daemon(*)
        answer = super
        Sender.forget_thread
        Sender.resume
        answer
      end
    end

    # Before Ruby 3.2 a thread inherits nothing: it gets the span of the one that made it, before it runs. Its block, its
    # backtraces and its `inspect` stay what they are.
    module NewThread
      def initialize(*)
        Processes.handed(self)
        super
      end
      ruby2_keywords(:initialize) if respond_to?(:ruby2_keywords, true)
    end

    # `Thread.start` makes threads without `initialize`: they get it as soon as they are there.
    module StartedThread
      def start(*)
        Processes.handed_late(super)
      end

      def fork(*)
        Processes.handed_late(super)
      end
      %i[start fork].each { |name| ruby2_keywords(name) } if respond_to?(:ruby2_keywords, true)
    end

    # Pools of concurrent-ruby (Rails' asynchronous jobs and queries): a task works for the span that posted it.
    module Pool
      def post(*arguments, &task)
        return super if task.nil? || !ObtraceZero.active

        span = Context.current
        super(*arguments) { |*given| Context.with(span) { task.call(*given) } }
      end
    end

    module_function

    def watch
      Process.singleton_class.prepend(Fork) if Process.respond_to?(:_fork)
      Process.singleton_class.prepend(Daemon)
      return if Context.inherited?

      Thread.prepend(NewThread)
      Thread.singleton_class.prepend(StartedThread)
    end

    def handed(thread)
      span = Thread.current[:obtrace]
      thread[:obtrace] = span if span
    rescue StandardError
      nil
    end

    # Gives the thread back. One that has begun work of its own keeps that.
    def handed_late(thread)
      span = Thread.current[:obtrace]
      thread[:obtrace] = span if span && !thread.key?(:obtrace)
      thread
    rescue StandardError
      thread
    end
  end
end
