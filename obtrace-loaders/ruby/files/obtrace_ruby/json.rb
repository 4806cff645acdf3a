# frozen_string_literal: true

module ObtraceZero
  # JSON by hand. The `json` library is a default gem: to require it before the application's Bundler has chosen its
  # version would pin ours, and applications override `to_json` besides.
  module Json
    UNSAFE = /["\\\x00-\x1f]/.freeze
    ESCAPES = (0..31).to_h { |code| [code.chr, format('\\u%04x', code)] }
                     .merge('"' => '\"', '\\' => '\\\\', "\n" => '\n', "\r" => '\r', "\t" => '\t').freeze

    module_function

    # The text as a JSON string, cut to `most` characters.
    def string(text, most = 4096)
      text = utf8(text) unless text.instance_of?(String) && text.ascii_only? && text.encoding == Encoding::UTF_8
      text = text[0, most] if text.bytesize > most && text.length > most
      text.match?(UNSAFE) ? "\"#{text.gsub(UNSAFE, ESCAPES)}\"" : "\"#{text}\""
    end

    # Any text as valid UTF-8; what is no character becomes U+FFFD.
    def utf8(text)
      text = text.to_s
      text = String.new(text) unless text.instance_of?(String)
      case text.encoding
      when Encoding::UTF_8, Encoding::US_ASCII then text = text.dup.force_encoding(Encoding::UTF_8) unless text.encoding == Encoding::UTF_8
      when Encoding::BINARY then text = text.dup.force_encoding(Encoding::UTF_8)
      else return text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace, replace: "\u{fffd}")
      end
      text.valid_encoding? ? text : text.scrub("\u{fffd}")
    rescue EncodingError
      # An encoding that nothing converts from, UTF-7 for one.
      text.b.force_encoding(Encoding::UTF_8).scrub("\u{fffd}")
    end
  end
end
