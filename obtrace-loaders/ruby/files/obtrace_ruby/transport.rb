# frozen_string_literal: true

module ObtraceZero
  # HTTP/1.1 to the receiver over a socket of our own: no library that the application uses or that we trace lies
  # between, no proxy is asked, no redirect followed. One connection is kept for all signals.
  class Transport
    # Seconds that a request may take in all.
    LIMIT = 5
    LARGEST_ANSWER = 65_536
    # An idle connection older than this is not trusted any more.
    IDLE = 20
    # A process this old (seconds) has chosen the versions of its libraries; one in which Bundler is at work, or that is still
    # reading its files and may come to it, gets longer.
    SETTLED = 10
    BUNDLED = 60
    TRY_AGAIN = [429, 502, 503, 504].freeze

    class TooLate < StandardError; end
    class Ended < StandardError; end

    # `limit`: gives the monotonic second at which all must be over, or nil.
    def initialize(url, &limit)
      scheme, rest = url.split('://', 2)
      @secure = scheme.casecmp?('https')
      authority, path = rest.split('/', 2)
      authority = authority.sub(/\A.*@/, '')
      @host = authority[/\A\[([^\]]+)\]/, 1] || authority[/\A[^:]*/]
      @port = (authority[/:(\d+)\z/, 1] || (@secure ? 443 : 80)).to_i
      @path = path.to_s.empty? ? '' : "/#{path}"
      @limit = limit
      @headers = "Host: #{authority}\r\nContent-Type: application/json\r\nX-Obtrace-Source: zero-agent-ruby\r\nUser-Agent: obtrace-zero-ruby/#{VERSION}\r\n"
      key = Settings.api_key
      @headers = "#{@headers.b}X-API-Key: #{key}\r\n" if key
    end

    # Whether the libraries that are needed can be loaded without harm. To load a default gem (`openssl`, and `io-wait`
    # with `socket`) pins its version: Bundler then refuses another one, so that we wait until it has chosen.
    def ready?
      return true if loaded?

      bundler = defined?(::Bundler)
      return true if bundler && ::Bundler.instance_variable_get(:@setup)

      age = clock - STARTED
      age > BUNDLED || age > SETTLED && !bundler && !requiring?
    end

    # Sends a body. The outcome (:taken, :refused, :again or :unreachable) and the seconds the receiver asked for.
    def post(signal, body)
      load_libraries
      now = clock
      @until = [now + LIMIT, @limit.call].compact.min
      begin
        reused = !fresh?(now)
        status, pause = exchange(signal, body)
      rescue TooLate
        raise
      rescue StandardError
        # The other side may have closed what we kept: a new connection tells.
        raise unless reused

        drop
        status, pause = exchange(signal, body)
      end
      @used = clock
      [verdict(status), pause]
    rescue StandardError, LoadError => error
      # LoadError: a Ruby that was built without OpenSSL.
      drop
      ObtraceZero.debug { "sending #{signal}: #{error.class}" }
      [error.is_a?(TooLate) ? :again : :unreachable, nil]
    end

    # Forgets the connection without a word to the other side: after a fork it is the parent's.
    def abandon
      @tcp&.close
    rescue IOError, SystemCallError
      nil
    ensure
      @tcp = @socket = nil
    end

    STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    private

    def clock
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Whether the program reads its files: on a slow machine that takes long. Some run in the end within a `require`.
    def requiring?
      (Thread.main.backtrace_locations || []).any? { |at| /\brequire(?:_relative)?\z/.match?(at.label) }
    end

    # Net::HTTP leaves an autoload of `openssl`: to look with `defined?` would load it.
    def loaded?
      socket = Guards.defined_module('Socket')
      socket && socket.respond_to?(:tcp) && (!@secure || Guards.defined_module('OpenSSL::SSL::SSLSocket')) ? true : false
    end

    def load_libraries
      require 'socket'
      require 'openssl' if @secure
    end

    def verdict(status)
      return :taken if (200..299).cover?(status)

      TRY_AGAIN.include?(status) ? :again : :refused
    end

    # True if a connection has to be made.
    def fresh?(now)
      drop if @socket && now - @used > IDLE
      @socket.nil?
    end

    def drop
      @socket&.close
    rescue StandardError
      nil
    ensure
      @tcp = @socket = nil
    end

    def exchange(signal, body)
      connect unless @socket
      write("POST #{@path}/otlp/v1/#{signal} HTTP/1.1\r\n#{@headers}Content-Length: #{body.bytesize}\r\n\r\n".b << body.b)
      answer
    end

    def connect
      @tcp = Socket.tcp(@host, @port, connect_timeout: left)
      @tcp.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      @socket = @secure ? secured(@tcp) : @tcp
      @used = clock
    rescue Errno::ETIMEDOUT
      raise TooLate
    end

    def secured(tcp)
      settings = OpenSSL::SSL::SSLContext.new
      settings.set_params(verify_mode: OpenSSL::SSL::VERIFY_PEER)
      socket = OpenSSL::SSL::SSLSocket.new(tcp, settings)
      socket.sync_close = true
      socket.hostname = @host unless @host.match?(/\A[\d.]+\z|:/)
      again { socket.connect_nonblock(exception: false) }
      socket.post_connection_check(@host)
      socket
    end

    def left
      seconds = @until - clock
      raise TooLate if seconds <= 0

      seconds
    end

    # Repeats what would block until it does not.
    def again
      loop do
        done = yield
        case done
        when :wait_readable then IO.select([@tcp], nil, nil, left) || raise(TooLate)
        when :wait_writable then IO.select(nil, [@tcp], nil, left) || raise(TooLate)
        else return done
        end
      end
    end

    def write(data)
      until data.empty?
        count = again { @socket.write_nonblock(data, exception: false) }
        data = data.byteslice(count, data.bytesize - count)
      end
    end

    def more(buffer)
      part = again { @socket.read_nonblock(16_384, exception: false) }
      raise Ended if part.nil?

      buffer << part
    end

    # The status and the pause asked for. The body is read only to keep the connection.
    def answer
      buffer = +''.b
      more(buffer) until (head = buffer.index("\r\n\r\n")) || buffer.bytesize > LARGEST_ANSWER
      raise Ended unless head

      lines = buffer.byteslice(0, head).split("\r\n")
      headers = lines.drop(1).to_h { |line| line.split(':', 2).then { |name, value| [name.to_s.downcase, value.to_s.strip] } }
      finish_body(buffer.bytesize - head - 4, headers, lines[0])
      [lines[0][%r{\AHTTP/1\.[01] (\d{3})}, 1].to_i, headers['retry-after'].to_s[/\A\d+\z/]&.to_i]
    end

    def finish_body(have, headers, first)
      length = headers['content-length'].to_s[/\A\d+\z/]&.to_i
      return drop if length.nil? || length > LARGEST_ANSWER || !first.start_with?('HTTP/1.1') || headers['connection'].to_s.casecmp?('close')

      rest = +''.b
      more(rest) while have + rest.bytesize < length
    rescue Ended, TooLate, SystemCallError, IOError
      drop
    end
  end
end
