require "sinatra"

run Sinatra::Application
