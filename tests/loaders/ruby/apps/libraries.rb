# frozen_string_literal: true

# Uses the library that the first word names, and prints what it got.
kind, address = ARGV

case kind
when 'pg'
  require 'pg'
  connection = PG.connect(host: '127.0.0.1', port: Integer(address), dbname: 'postgres', user: 'postgres')
  p connection.exec("SELECT 1 AS one, 'secret'").first['one']
  p connection.exec_params('SELECT $1::int AS two', [2]).first['two']
  connection.prepare('by_name', 'SELECT datname FROM pg_database WHERE datname = $1')
  p connection.exec_prepared('by_name', ['postgres']).first['datname']
  connection.exec('SELECT 3') { |answer| p answer.first.values }
  begin
    connection.query("SELECT * FROM missing WHERE a = 'secret'")
  rescue PG::Error => e
    p e.class
  end
when 'mysql2'
  require 'mysql2'
  client = Mysql2::Client.new(host: '127.0.0.1', port: Integer(address), username: 'root', database: 'mysql')
  p client.query("SELECT 1 AS one, 'secret' AS s").first['one']
  p client.query('SELECT "double" AS d', symbolize_keys: true).first[:d]
  p client.prepare('SELECT user FROM user WHERE user = ?').execute('root').first['user']
  begin
    client.query('SELECT * FROM missing')
  rescue Mysql2::Error => e
    p e.class
  end
when 'sqlite3'
  require 'sqlite3'
  database = SQLite3::Database.new(':memory:')
  database.execute('CREATE TABLE items (id integer, name text)')
  database.execute("INSERT INTO items VALUES (1, 'secret')")
  p database.execute('SELECT name FROM items WHERE id = ?', [1])
  statement = database.prepare('SELECT id FROM items')
  p statement.to_a
  statement.close
when 'redis'
  require 'redis'
  redis = Redis.new(port: Integer(address))
  redis.flushall
  p redis.set('key', 'secret'), redis.get('key')
  p(redis.pipelined { |pipeline| pipeline.incr('n'); pipeline.get('n') })
  begin
    redis.lpush('key', 1)
  rescue Redis::CommandError => e
    p e.class
  end
when 'dalli'
  require 'dalli'
  cache = Dalli::Client.new("127.0.0.1:#{address}")
  cache.set('key', 'value')
  p cache.get('key')
when 'faraday'
  require 'faraday'
  p Faraday.get("#{address}/faraday").status
  connection = Faraday.new(address) { |it| it.adapter :typhoeus }
  p connection.get('/faraday-typhoeus').status
when 'http'
  require 'http'
  p HTTP.get("#{address}/http-rb?a=secret").code
when 'excon'
  require 'excon'
  p Excon.get("#{address}/excon", headers: { 'X-Own' => '1' }).status
  connection = Excon.new(address)
  2.times { p connection.request(method: :post, path: '/excon-again', body: 'x').status }
when 'httpclient'
  require 'httpclient'
  p HTTPClient.new.get("#{address}/httpclient").status
when 'typhoeus'
  require 'typhoeus'
  p Typhoeus.get("#{address}/typhoeus").code
  hydra = Typhoeus::Hydra.new
  requests = 2.times.map { |index| Typhoeus::Request.new("#{address}/hydra-#{index}").tap { |it| hydra.queue(it) } }
  hydra.run
  p requests.map { |it| it.response.code }
when 'own-header'
  require 'net/http'
  request = Net::HTTP::Get.new('/own', 'traceparent' => '00-11111111111111111111111111111111-2222222222222222-01')
  again = Net::HTTP::Get.new('/again')
  uri = URI(address)
  Net::HTTP.start(uri.host, uri.port) do |http|
    http.request(request)
    2.times { http.request(again) }
  end
  p again.key?('traceparent'), request['traceparent']
when 'alias'
  # What rack-mini-profiler and others do to Net::HTTP, after we were there.
  require 'net/http'
  Net::HTTP.class_eval do
    alias_method :request_before, :request
    def request(*words, &block) = request_before(*words, &block)
  end
  p Net::HTTP.get_response(URI("#{address}/aliased")).code
when 'concurrent'
  require 'concurrent'
  require 'net/http'
  require 'logger'
  pool = Concurrent::FixedThreadPool.new(2)
  p Concurrent::Promises.future_on(pool) { Net::HTTP.get(URI("#{address}/pool")) }.value
end
