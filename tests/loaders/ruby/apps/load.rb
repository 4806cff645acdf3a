# frozen_string_literal: true

# Forks while other threads call and log as fast as they can; every child makes one call of its own.
require 'net/http'
require 'logger'

uri = URI(ENV.fetch('UPSTREAM'))
logger = Logger.new(File.open(File::NULL, 'w'))
busy = true
threads = 4.times.map { |index| Thread.new { index.zero? ? Net::HTTP.get(uri + '/parent') : logger.info('line') while busy } }
children = 40.times.map { fork { threads.clear; Net::HTTP.get(uri + '/child') } }
codes = children.map { |pid| Process.wait2(pid)[1].exitstatus }
busy = false
threads.each(&:join)
puts codes.tally.inspect
