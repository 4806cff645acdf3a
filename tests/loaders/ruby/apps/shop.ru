# frozen_string_literal: true

# A small Sinatra application as tests want it: routes, failures, calls to elsewhere, logs, streams, a mounted part.
require 'sinatra/base'
require 'net/http'
require 'logger'

LOGGER = Logger.new($stdout, progname: 'shop')
UPSTREAM = ENV['UPSTREAM']

class Shop < Sinatra::Base
  set :show_exceptions, false
  set :raise_errors, false
  set :host_authorization, {} if respond_to?(:host_authorization)
  disable :protection

  get('/ready') { 'ready' }

  get '/users/:id' do
    LOGGER.info { "user #{params['id']}" }
    LOGGER.debug { 'a detail' }
    "user #{params['id']}"
  end

  get '/call' do
    answer = Net::HTTP.get_response(URI("#{UPSTREAM}/#{params['path'] || 'status/200'}?token=secret"))
    answer.code
  end

  get '/threads' do
    2.times.map { Thread.new { Net::HTTP.get(URI("#{UPSTREAM}/in-a-thread")) } }.each(&:join)
    'done'
  end

  get('/boom') { raise ArgumentError, 'no such order' }

  get('/status/:code') { halt params['code'].to_i, 'as you wish' }

  get '/stream' do
    stream do |out|
      out << 'a'
      sleep 0.3
      out << 'b'
    end
  end

  get '/burst' do
    Integer(params['count']).times { Net::HTTP.start(URI(UPSTREAM).host, URI(UPSTREAM).port) { |http| http.get('/burst') } }
    'done'
  end

  get '/logs' do
    Integer(params['count']).times { |index| LOGGER.info("line #{index}") }
    'done'
  end
end

class Admin < Sinatra::Base
  disable :protection
  get('/orders/:id') { "order #{params['id']}" }
end

map('/admin') { run Admin }
map('/raw') { run ->(env) { [200, { 'content-type' => 'text/plain' }, [env['PATH_INFO']]] } }
map('/raise') { run ->(_) { raise 'out of the application' } }
map('/') { run Shop }
