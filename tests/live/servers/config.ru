# The Ruby server of the live tests, for puma. `/chain/X` asks the upstream for `/items/X`.
require 'net/http'

run lambda { |env|
  kind, name = env['PATH_INFO'].split('/')[1, 2]
  sent = env['rack.input'].read
  status = 200
  body = %({"item": "#{name}"})
  case kind
  when 'missing' then status = 404
  when 'echo' then body = sent
  when 'big' then body = 'x' * 1_000_000
  when 'chain' then Net::HTTP.get(URI("http://127.0.0.1:#{ENV['UPSTREAM_PORT']}/items/#{name}"))
  end
  [status, { 'Content-Length' => body.bytesize.to_s }, [body]]
}
