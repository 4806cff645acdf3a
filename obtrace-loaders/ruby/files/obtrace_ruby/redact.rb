# frozen_string_literal: true

module ObtraceZero
  # What is taken out of statements and URLs before they leave the process.
  module Redact
    LONGEST_STATEMENT = 8192
    LONGEST_KNOWN = 2048
    MOST_KNOWN = 500
    NUMBER = '(?<![\w$@.:%"`])(?:0[xX]\h+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?!\w)'
    QUOTED = "(?:(?<![\\w$])[eEnNbBxX])?'(?:[^'\\\\]|''|\\\\.)*+(?:'|\\\\?\\z)"
    DOLLARS = '(?<![\w$])\$(?<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$\k<tag>\$|\z)'
    COMMENT = '--[^\n]*|/\*.*?(?:\*/|\z)'
    NAME = '"(?:[^"]|"")*+(?:"|\z)|`[^`]*+(?:`|\z)'
    # A name in double quotes stays as it is, but it is a string for MySQL; `#` begins a comment there.
    ANSI = Regexp.new("(?<comment>#{COMMENT})|(?<literal>#{QUOTED}|#{DOLLARS}|#{NUMBER})|#{NAME}", Regexp::MULTILINE).freeze
    MYSQL = Regexp.new("(?<comment>#{COMMENT}|\#[^\\n]*)|(?<literal>#{QUOTED}|\"(?:[^\"\\\\]|\"\"|\\\\.)*+(?:\"|\\\\?\\z)|#{NUMBER})|`[^`]*+(?:`|\\z)",
                       Regexp::MULTILINE).freeze
    PART = '(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
    TABLE = /\b(?:FROM|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+(?:ONLY\s+)?(#{PART}(?:\.#{PART})*)(?!\s*\.)/i.freeze
    WITH_TABLE = %w[SELECT INSERT UPDATE DELETE REPLACE TRUNCATE CREATE DROP ALTER].freeze

    Statement = Struct.new(:text, :operation, :collection)

    @known = { ansi: {}, mysql: {} }

    class << self
      # What is said of a statement; of those that come again it is known.
      def sql(text, dialect = :ansi)
        known = @known[dialect]
        found = known[text]
        return found if found

        made = statement(text, dialect)
        if text.bytesize <= LONGEST_KNOWN
          known.clear if known.size >= MOST_KNOWN
          known[text.dup.freeze] = made
        end
        made
      end

      # A URL without user information and fragment, the values of its query replaced.
      def url(text)
        text = Json.utf8(text).sub(/#.*\z/m, '').sub(%r{\A([A-Za-z][\w+.-]*://)[^/?]*@}, '\1')
        base, query = text.split('?', 2)
        return base unless query

        "#{base}?#{query.gsub(/=[^&]+/, '=REDACTED')}"
      end

      private

      def statement(text, dialect)
        text = Json.utf8(text)
        text = text.byteslice(0, LONGEST_STATEMENT).scrub('') if text.bytesize > LONGEST_STATEMENT
        clean = text.gsub(dialect == :mysql ? MYSQL : ANSI) do |part|
          found = Regexp.last_match
          if found[:comment] then ''
          else found[:literal] ? '?' : part
          end
        end
        clean.strip!
        operation = clean[/\A\(*\s*([A-Za-z]+)/, 1].to_s.upcase
        Statement.new(clean.freeze, operation.freeze, WITH_TABLE.include?(operation) ? table(clean) : nil)
      end

      def table(clean)
        name = clean[TABLE, 1] or return nil
        name.gsub(/"((?:[^"]|"")+)"|`([^`]+)`|\[([^\]]+)\]/) { (Regexp.last_match(1) || Regexp.last_match(2) || Regexp.last_match(3)).gsub('""', '"') }.freeze
      end
    end
  end
end
