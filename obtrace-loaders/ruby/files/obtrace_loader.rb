# The entry file of the Ruby loader: `RUBYOPT=-r /obtrace/obtrace_loader` makes every Ruby process read it first.
#
# Every Ruby in use has to parse it, 1.8 and JRuby among them: no syntax here that is younger than 1.8. What asks for
# more is in obtrace_ruby/, read only where this file has found no reason to step aside, and whatever fails there ends
# here: the application goes on as if we were not there.
begin
  obtrace_debug = !['', '0', 'false'].include?(ENV['OBTRACE_DEBUG'].to_s.downcase)
  obtrace_reason =
    if defined?(::ObtraceZero)
      'a loader of ours is already there'
    elsif !['', '0', 'false'].include?(ENV['OBTRACE_DISABLED'].to_s.downcase)
      'OBTRACE_DISABLED is set'
    elsif ENV['OBTRACE_INGEST_URL'].to_s !~ /\Ahttps?:\/\/[^\/\s]/i
      'OBTRACE_INGEST_URL is no http:// or https:// URL'
    elsif !defined?(RUBY_ENGINE) || RUBY_ENGINE != 'ruby'
      'only CRuby is supported'
    elsif RUBY_VERSION.to_i != 3
      "Ruby #{RUBY_VERSION} is not supported, 3.x is"
    end
  if obtrace_reason.nil?
    obtrace_folder = ENV['OBTRACE_AGENT_PATH'].to_s
    if obtrace_folder.empty? || !File.directory?(File.join(obtrace_folder, 'obtrace_ruby'))
      obtrace_folder = File.dirname(File.expand_path(__FILE__))
    end
    require File.join(File.expand_path(obtrace_folder), 'obtrace_ruby', 'start.rb')
    obtrace_reason = ObtraceZero.start
  end
rescue ScriptError, StandardError, SystemStackError, SecurityError, NoMemoryError
  obtrace_reason = "#{$!.class}: #{$!.message}"
end
begin
  STDERR.write("[obtrace] stepping aside: #{obtrace_reason}\n") if obtrace_debug && obtrace_reason
rescue StandardError
  # Standard error is closed: there is nobody to tell.
  obtrace_reason = nil
end
