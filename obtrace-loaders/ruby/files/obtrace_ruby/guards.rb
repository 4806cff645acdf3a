# frozen_string_literal: true

module ObtraceZero
  # The reasons to step aside that take more than a glance at a variable: tools, and agents of the application's own.
  module Guards
    TOOLS = %w[gem bundle bundler irb rake rdoc ri racc erb].freeze

    # Gems that are an agent or SDK. The OpenTelemetry API alone (`opentelemetry-api`) does nothing and is none.
    GEMS = %w[
      opentelemetry-sdk ddtrace datadog newrelic_rpm elastic-apm skylight scout_apm appsignal instana dynatrace_oneagent
      appdynamics skywalking atatus solarwinds_apm
    ].freeze

    # What such gems define once they are loaded. `Datadog` alone is not there: a StatsD client is called so as well.
    MODULES = {
      'OpenTelemetry::SDK' => 'OpenTelemetry SDK', 'Datadog::Tracing' => 'Datadog', 'Datadog::Tracer' => 'Datadog',
      'NewRelic::Agent' => 'New Relic', 'ElasticAPM' => 'Elastic APM', 'Skylight' => 'Skylight', 'ScoutApm' => 'Scout',
      'Appsignal' => 'AppSignal', 'Instana' => 'Instana', 'Skywalking' => 'SkyWalking', 'SolarWindsAPM' => 'SolarWinds'
    }.freeze

    OPTIONS = /(?:-r\s*|--require[ =]?)\S*(?:ddtrace|datadog|opentelemetry|newrelic|elastic.?apm|appsignal|instana|skylight)/
    LARGEST_LOCK = 1 << 20

    module_function

    # Why the loader must not start in this process, or nil.
    def reason(program = $PROGRAM_NAME, arguments = ARGV, env = ENV)
      tool(program, arguments) || other_agent(env) || bundled_agent(env, program)
    end

    def tool(program, arguments)
      name = File.basename(program.to_s)
      if %w[bundle bundler].include?(name) && arguments[0] == 'exec'
        command = arguments.drop(1).find { |word| !word.start_with?('-') }
        name = File.basename(command.to_s)
      end
      "#{name} is a tool" if TOOLS.include?(name)
    end

    def other_agent(env)
      return 'RUBYOPT loads another agent' if OPTIONS.match?(env['RUBYOPT'].to_s)

      name = MODULES.keys.find { |it| Guards.defined_module(it) }
      "#{MODULES[name]} is loaded" if name
    end

    # The lock file that Bundler would read: what stands there will be loaded.
    def bundled_agent(env, program)
      lock = lock_files(env, program).find { |path| File.file?(path) } or return
      return if File.size(lock) > LARGEST_LOCK

      found = File.read(lock, encoding: 'UTF-8').scrub.each_line.filter_map { |line| line[/\A {4}([\w.-]+)(?: \(|$)/, 1] }
      name = (found & GEMS).first
      "the application's bundle has #{name}" if name
    rescue SystemCallError
      nil
    end

    def lock_files(env, program)
      gemfile = Settings.value('BUNDLE_GEMFILE', env)
      return ["#{gemfile}.lock", gemfile.sub(/gems\.rb\z/, 'gems.locked')] if gemfile

      folders = [Dir.pwd, File.dirname(File.expand_path(program.to_s))]
      folders << File.dirname(folders[1]) if File.basename(folders[1]) == 'bin'
      folders.uniq.flat_map { |folder| [File.join(folder, 'Gemfile.lock'), File.join(folder, 'gems.locked')] }
    end

    # The module of this name if it is there, without starting an autoload.
    def self.defined_module(name)
      name.split('::').inject(Object) do |holder, word|
        return nil if holder.autoload?(word) || !holder.const_defined?(word, false)

        found = holder.const_get(word, false)
        return nil unless found.is_a?(Module)

        found
      end
    rescue NameError
      nil
    end
  end
end
