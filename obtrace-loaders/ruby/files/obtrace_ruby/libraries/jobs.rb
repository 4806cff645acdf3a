# frozen_string_literal: true

module ObtraceZero
  # Jobs that run elsewhere: Sidekiq, and Active Job where Sidekiq does not carry it.
  module Jobs
    class << self
      # The attributes of a message of this system.
      def attributes(system, queue, operation, type)
        { 'messaging.system' => system, 'messaging.destination.name' => queue, 'messaging.operation.name' => operation,
          'messaging.operation.type' => type }
      end

      # Puts the context into a job (a hash) unless it has one; it is carried through the queue with it.
      def carry(span, job)
        return if job.key?('traceparent')

        job['traceparent'] = Context.header(span)
        job['tracestate'] = span.tracestate if span.tracestate
      end

      def publish(scope, system, queue, jobs)
        attributes = attributes(system, queue, 'publish', 'send')
        attributes['messaging.batch.message_count'] = jobs.size if jobs.size > 1
        span = Client.begin(Span::PRODUCER, "publish #{queue}", scope, :messaging, attributes)
        jobs.each { |job| carry(span, job) }
        span
      rescue StandardError => error
        ObtraceZero.failed(scope, error)
      end

      # Runs the handling of a job: its parent is what published it.
      def process(scope, system, queue, job, id, &handler)
        return yield unless ObtraceZero.active

        span = begin
          made = Span.new(Span::CONSUMER, "process #{queue}", scope, Context.read(job['traceparent'], job['tracestate']),
                          attributes(system, queue, 'process', 'process'))
          made['messaging.message.id'] = id
          made
        rescue StandardError => error
          ObtraceZero.failed(scope, error)
        end
        span ? Client.run(span, nil, &handler) : yield
      end
    end

    # Sidekiq::Client: where payloads, complete, leave for Redis.
    module SidekiqClient
      SCOPE = 'obtrace.ruby.sidekiq'

      def raw_push(payloads)
        return super if payloads.empty? || !ObtraceZero.active

        span = Jobs.publish(SCOPE, 'sidekiq', payloads[0]['queue'].to_s, payloads)
        span ? Client.run(span, nil) { super } : super
      end
    end

    # Sidekiq::Processor: all that happens for one job, its retries' bookkeeping too.
    module SidekiqProcessor
      def dispatch(job, queue, *)
        Jobs.process(SidekiqClient::SCOPE, 'sidekiq', queue.to_s.delete_prefix('queue:'), job, job['jid']) { super }
      end
    end

    # Sidekiq's own housekeeping: heartbeats and polls of queues are of no interest.
    module SidekiqQuiet
      def retrieve_work(*)
        Context.quietly { super }
      end
    end

    module SidekiqHeart
      def heartbeat(*)
        Context.quietly { super }
      end

      def beat(*)
        Context.quietly { super }
      end
    end

    # Active Job: a job that is put into a queue, and one that comes out of it.
    module ActiveJob
      SCOPE = 'obtrace.ruby.active_job'

      def self.carried?(job)
        job.class.queue_adapter.class.name.to_s.include?('Sidekiq')
      end

      def self.system(job)
        job.class.queue_adapter.class.name.to_s[/(\w+?)(?:Adapter)?\z/, 1].to_s.gsub(/(?<=[a-z])(?=[A-Z])/, '_').downcase
      end

      def enqueue(*)
        return super if !ObtraceZero.active || ActiveJob.carried?(self)

        @obtrace_job = {}
        span = Jobs.publish(SCOPE, ActiveJob.system(self), queue_name.to_s, [@obtrace_job])
        span ? Client.run(span, nil) { super } : super
      end
      ruby2_keywords(:enqueue) if respond_to?(:ruby2_keywords, true)

      def serialize
        data = super
        data.merge!(@obtrace_job) if @obtrace_job && data.is_a?(Hash) && !data.frozen?
        data
      end

      def deserialize(data)
        @obtrace_job = data.slice('traceparent', 'tracestate') if data.is_a?(Hash)
        super
      end

      def perform_now
        return super if ActiveJob.carried?(self)

        Jobs.process(SCOPE, ActiveJob.system(self), queue_name.to_s, @obtrace_job || {}, job_id) { super }
      end
    end
  end

  Hooks.before('Sidekiq::Client', :raw_push, Jobs::SidekiqClient)
  Hooks.before('Sidekiq::Processor', :dispatch, Jobs::SidekiqProcessor)
  Hooks.before('Sidekiq::BasicFetch', :retrieve_work, Jobs::SidekiqQuiet)
  Hooks.before('Sidekiq::Launcher', :stop, Jobs::SidekiqHeart)
  Hooks.before('ActiveJob::Base', :perform_now, Jobs::ActiveJob)
end
