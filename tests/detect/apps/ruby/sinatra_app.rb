require "sinatra"

set :port, 0
get("/") { "hello" }
