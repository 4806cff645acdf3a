# frozen_string_literal: true

# As little of a Rails application as Spring loads ahead of its commands.
require_relative 'boot'
require 'rails'
require 'action_controller/railtie'

class Shop < Rails::Application
  config.root = File.expand_path('..', __dir__)
  config.eager_load = false
  config.cache_classes = false
  config.secret_key_base = 'x' * 64
  config.logger = Logger.new(File.open(File::NULL, 'w'))
end
