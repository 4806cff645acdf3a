# frozen_string_literal: true

module ObtraceZero
  # Who is speaking: the attributes of the resource (contract, section 4).
  module Resource
    VARIABLES = {
      'OBTRACE_ENVIRONMENT' => 'deployment.environment.name', 'OBTRACE_POD_NAME' => 'k8s.pod.name',
      'OBTRACE_POD_NAMESPACE' => 'k8s.namespace.name', 'OBTRACE_NODE_NAME' => 'k8s.node.name'
    }.freeze

    module_function

    # The attributes that come of variables alone.
    def attributes(env = ENV)
      made = listed(env)
      made['service.name'] = service_name(env)
      VARIABLES.each do |variable, name|
        value = Settings.value(variable, env)
        made[name] = value if value
      end
      made['telemetry.sdk.language'] = 'ruby'
      made['telemetry.sdk.name'] = 'obtrace'
      made['telemetry.sdk.version'] = VERSION
      made['telemetry.distro.name'] = 'obtrace-zero'
      made['telemetry.distro.version'] = VERSION
      made
    end

    def service_name(env)
      Settings.value('OBTRACE_SERVICE_NAME', env) || Settings.value('OTEL_SERVICE_NAME', env) || listed(env)['service.name'] || 'unknown_service:ruby'
    end

    # `OTEL_RESOURCE_ATTRIBUTES`; a pair that cannot be read is left out.
    def listed(env)
      Settings.value('OTEL_RESOURCE_ATTRIBUTES', env).to_s.split(',').each_with_object({}) do |pair, made|
        name, value = pair.split('=', 2).map { |part| decoded(part.strip) }
        made[name] = value if value && name && !name.empty?
      end
    end

    def decoded(text)
      return nil if text.match?(/%(?![0-9a-fA-F]{2})/)

      text = text.b.gsub(/%\h\h/) { |code| code[1, 2].hex.chr }.force_encoding(Encoding::UTF_8)
      text if text.valid_encoding?
    end

    # What this process adds: it is asked again after a fork.
    def process
      made = {
        'service.instance.id' => Ids.uuid, 'process.pid' => Process.pid, 'process.runtime.name' => RUBY_ENGINE,
        'process.runtime.version' => RUBY_VERSION
      }
      host = host_name
      made['host.name'] = host if host
      made
    end

    # Without the `socket` library, which may not be loaded yet.
    def host_name
      File.read('/proc/sys/kernel/hostname').strip
    rescue SystemCallError
      Settings.value('HOSTNAME')
    end

    # The resource of this process as JSON, made once for each.
    def json
      return @json if @pid == Process.pid

      @json = "{\"attributes\":#{Otlp.attributes(attributes.merge(process))}}"
      @pid = Process.pid
      @json
    end
  end
end
