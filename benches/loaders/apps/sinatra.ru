# frozen_string_literal: true

# The application under measurement: a route with a parameter, a line of log, an answer.
require 'sinatra/base'
require 'logger'

LOGGER = Logger.new(File.open(File::NULL, 'w'))

class Application < Sinatra::Base
  disable :protection

  get '/user/:id' do
    LOGGER.info("user #{params['id']}")
    "user #{params['id']}"
  end
end

run Application
