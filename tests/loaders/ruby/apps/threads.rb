# frozen_string_literal: true

# What applications do with threads: they count them, wait for them, end them.
require 'logger'

Thread.abort_on_exception = true
logger = Logger.new($stdout, formatter: ->(*, text) { "#{text.b}\n" })
group = ThreadGroup.new
worker = Thread.new { Thread.stop; logger.info('from a group'); Thread.stop }
group.add(worker)
Thread.pass until worker.stop?
worker.run
Thread.pass until worker.stop?
puts "#{Thread.list.size} threads, #{group.list.size} in the group, #{ThreadGroup::Default.list.size} outside"
worker.run
group.list.each(&:join)
Thread.start(1, two: 2) { |one, two:| puts one, two }.join
(Thread.list - [Thread.current]).each(&:join)
# Ruby says that they are experimental, with us and without.
puts Ractor.new { [Thread.list.size, Thread.new { 1 }.value, Logger.new(nil).info('x')] }.take.inspect
logger.info(String.new("an odd\xFFone", encoding: 'UTF-7'))
ObjectSpace.each_object(Thread) { |thread| thread.kill unless thread == Thread.current }
sleep 0.2
logger.info('after all were killed')
puts 'end'
