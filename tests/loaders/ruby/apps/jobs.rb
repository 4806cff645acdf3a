# frozen_string_literal: true

# Jobs of Sidekiq: read by the worker (`sidekiq -r`) and by what puts jobs into the queue.
require 'sidekiq'
require 'net/http'
require 'logger'

class Report
  include Sidekiq::Worker
  sidekiq_options queue: 'reports', retry: false

  def perform(name)
    raise ArgumentError, 'no such report' if name == 'bad'

    Net::HTTP.get(URI("#{ENV.fetch('UPSTREAM')}/report"))
    Sidekiq.logger.info("report #{name}")
  end
end
