# frozen_string_literal: true

# Plays a file of vectors to the loader's own functions; prints one line for each that is not as it should be.
require 'json'

cases = JSON.parse(File.read(ARGV[1]))
check = lambda do |what, seen, wanted|
  puts "#{what.inspect}: #{seen.inspect}, not #{wanted.inspect}" unless seen == wanted
end

case ARGV[0]
when 'traceparent'
  cases['cases'].each do |it|
    found = ObtraceZero::Context.read(it['header'])
    seen = found && { 'trace_id' => found.trace_id, 'span_id' => found.span_id, 'sampled' => found.sampled }
    check.call(it['header'], seen, it['context'])
  end
when 'tracestate'
  cases['cases'].each do |it|
    found = ObtraceZero::Context.read('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', it['header'])
    check.call(it['header'], found.tracestate, it['passed'])
  end
when 'sampling'
  cases['cases'].each do |it|
    ratio = ObtraceZero::Settings.ratio('OBTRACE_TRACE_SAMPLE_RATIO' => it['ratio'])
    check.call(it, ObtraceZero::Ids.sampled?(it['trace_id'], (ratio * (1 << 56)).to_i), it['sampled'])
  end
when 'resource'
  cases['cases'].each do |it|
    made = ObtraceZero::Resource.attributes(it['env'])
    it['attributes'].each { |name, wanted| check.call([it['env'], name], made[name], wanted) }
  end
when 'severity'
  cases['ruby']['Logger'].each { |name, wanted| check.call(name, ObtraceZero::Logs::SEVERITY[name], wanted) }
when 'sql'
  cases['cases'].each do |it|
    made = ObtraceZero::Redact.sql(it['sql'])
    check.call(it['sql'], made.text, it['text'])
    check.call(it['sql'], made.operation, it['operation'])
    check.call(it['sql'], made.collection, it['collection'])
  end
when 'url'
  cases['cases'].each { |it| check.call(it['url'], ObtraceZero::Redact.url(it['url']), it['full']) }
else
  abort("no vectors called #{ARGV[0]}")
end
puts "played #{ARGV[0]}"
