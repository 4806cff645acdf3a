# frozen_string_literal: true

# Does one traced thing and then ends in the way that the first word says.
require 'net/http'
require 'logger'

uri = URI(ENV.fetch('UPSTREAM'))
at_exit { $stdout.puts 'the application leaves' }
at_exit { Net::HTTP.get(uri + '/at-exit') if ARGV[0] == 'late' }
$stdout.sync = true
Net::HTTP.get(uri + '/work')
Logger.new($stderr, formatter: ->(*, text) { "#{text}\n" }).warn('one line')
$stdout.puts 'worked'
case ARGV[0]
when 'end', 'late' then nil
when 'exit3' then exit 3
when 'exit!' then exit!(4)
when 'abort' then abort 'aborted'
when 'raise' then raise IOError, 'nobody caught this'
when 'refused' then Net::HTTP.get(URI('http://127.0.0.1:1/'))
when 'block' then Net::HTTP.start(uri.host, uri.port) { |http| http.request_get('/block') { raise IOError, 'in a block' } }
when 'throw' then throw :nowhere
when 'fork' then
  children = 8.times.map { fork { 10.times { Net::HTTP.get(uri + '/child') } } }
  children.each { |pid| Process.wait(pid) }
when 'daemon'
  Process.daemon(true, true)
  Net::HTTP.get(uri + '/daemon')
when 'wait' then sleep
when 'trap'
  trap('TERM') { puts 'told to end'; exit 7 }
  sleep
when 'signal' then Process.kill(ARGV[1], Process.pid); sleep 5
when 'thread' then Thread.new { raise 'in a thread' }.join
when 'stack' then def deep = deep; deep
end
