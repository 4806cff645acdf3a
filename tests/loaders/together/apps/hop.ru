# Answers with what the next one answers: NEXT=... puma hop.ru
require "logger"
require "net/http"

logger = Logger.new($stdout)

run lambda { |_env|
  logger.info("ruby hop")
  [200, { "Content-Type" => "text/plain" }, ["ruby #{Net::HTTP.get(URI(ENV.fetch("NEXT")))}"]]
}
