# frozen_string_literal: true

module ObtraceZero
  # Drivers of SQL databases: pg, mysql2, trilogy, sqlite3. What is built on them (Active Record, Sequel) is seen here.
  module Sql
    MOST_PREPARED = 1000

    class << self
      # Runs a call of a driver in a span; `text` is a statement or nil.
      def run(scope, system, text, target, dialect = :ansi, &call)
        return yield if Client.inside?(system)

        span = Client.database(scope, system, text, target.call, dialect)
        span ? Client.query(span, &call) : yield
      end

      # Attributes of where a connection leads, made once for each connection.
      def target(connection, &make)
        known = connection.instance_variable_get(:@obtrace_target)
        return known if known

        made = make.call.reject { |_, value| value.nil? || value == '' || value == 0 }.freeze
        connection.instance_variable_set(:@obtrace_target, made) unless connection.frozen?
        made
      rescue StandardError => error
        ObtraceZero.failed('database', error)
        {}
      end

      # Remembers what a prepared statement of this name says.
      def prepared(connection, name, text)
        known = connection.instance_variable_get(:@obtrace_prepared) || connection.instance_variable_set(:@obtrace_prepared, {})
        known.clear if known.size >= MOST_PREPARED
        known[name] = text
      rescue StandardError => error
        ObtraceZero.failed('database', error)
      end

      def statement(connection, name)
        connection.instance_variable_get(:@obtrace_prepared)&.[](name)
      end
    end

    # PG::Connection. `exec` and its like are aliases of the `async_` or `sync_` forms: a call inside a call is one call.
    module Pg
      SCOPE = 'obtrace.ruby.pg'
      SYSTEM = 'postgresql'

      def self.target(connection)
        Sql.target(connection) { { 'db.namespace' => connection.db, 'server.address' => connection.host, 'server.port' => connection.port } }
      end

      %i[exec query exec_params async_exec async_query async_exec_params sync_exec sync_exec_params].each do |name|
        module_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def #{name}(sql, *)
            Sql.run(SCOPE, SYSTEM, sql, -> { Pg.target(self) }) { super }
          end
        RUBY
      end

      %i[exec_prepared async_exec_prepared sync_exec_prepared].each do |name|
        module_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def #{name}(name, *)
            Sql.run(SCOPE, SYSTEM, Sql.statement(self, name), -> { Pg.target(self) }) { super }
          end
        RUBY
      end

      %i[prepare async_prepare sync_prepare].each do |name|
        module_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def #{name}(name, sql, *)
            Sql.prepared(self, name, sql)
            super
          end
        RUBY
      end
    end

    # Mysql2::Client.
    module Mysql2
      SCOPE = 'obtrace.ruby.mysql2'
      SYSTEM = 'mysql'

      def self.target(client)
        Sql.target(client) do
          options = client.query_options
          { 'db.namespace' => options[:database], 'server.address' => options[:host] || options[:socket], 'server.port' => options[:port]&.to_i }
        end
      end

      def query(sql, *)
        Sql.run(SCOPE, SYSTEM, sql, -> { Mysql2.target(self) }, :mysql) { super }
      end
      ruby2_keywords(:query) if respond_to?(:ruby2_keywords, true)

      def prepare(sql)
        statement = super
        statement.instance_variable_set(:@obtrace_made, [self, sql]) if statement
        statement
      end
    end

    # Mysql2::Statement.
    module Mysql2Statement
      def execute(*)
        client, sql = @obtrace_made
        return super if client.nil?

        Sql.run(Mysql2::SCOPE, Mysql2::SYSTEM, sql, -> { Mysql2.target(client) }, :mysql) { super }
      end
      ruby2_keywords(:execute) if respond_to?(:ruby2_keywords, true)
    end

    # Trilogy.
    module Trilogy
      SCOPE = 'obtrace.ruby.trilogy'

      def self.target(client)
        Sql.target(client) do
          options = client.connection_options
          { 'db.namespace' => options[:database], 'server.address' => options[:host] || options[:socket], 'server.port' => options[:port]&.to_i }
        end
      end

      def query(sql, *)
        Sql.run(SCOPE, Mysql2::SYSTEM, sql, -> { Trilogy.target(self) }, :mysql) { super }
      end
    end

    # SQLite3::Database.
    module Sqlite3
      SCOPE = 'obtrace.ruby.sqlite3'
      SYSTEM = 'sqlite'

      def self.target(database)
        Sql.target(database) { { 'db.namespace' => File.basename(database.filename.to_s) } }
      end

      %i[execute execute2 execute_batch execute_batch2 query].each do |name|
        module_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def #{name}(sql, *)
            Sql.run(SCOPE, SYSTEM, sql, -> { Sqlite3.target(self) }) { super }
          end
        RUBY
      end

      # Without a block the statement is run later (Active Record does so): it knows what it was made of.
      def prepare(sql)
        return super if block_given?

        statement = super
        statement.instance_variable_set(:@obtrace_made, [self, sql])
        statement
      end
    end

    # SQLite3::Statement.
    module Sqlite3Statement
      %i[execute execute! each].each do |name|
        module_eval(<<~RUBY, __FILE__, __LINE__ + 1)
          def #{name}(*)
            database, sql = @obtrace_made
            return super if database.nil?

            Sql.run(Sqlite3::SCOPE, Sqlite3::SYSTEM, sql, -> { Sqlite3.target(database) }) { super }
          end
        RUBY
      end
    end
  end

  Hooks.before('PG::Connection', :exec, Sql::Pg)
  Hooks.before('Mysql2::Client', :query, Sql::Mysql2)
  Hooks.before('Mysql2::Statement', :execute, Sql::Mysql2Statement)
  Hooks.before('Trilogy', :query, Sql::Trilogy)
  Hooks.before('SQLite3::Database', :execute, Sql::Sqlite3)
  Hooks.before('SQLite3::Statement', :execute, Sql::Sqlite3Statement)
end
