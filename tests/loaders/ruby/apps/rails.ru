# frozen_string_literal: true

# A real Rails application in one file: routes, a resource, an engine, a failure, Active Record, a job.
require 'rails'
require 'action_controller/railtie'
require 'active_record/railtie'
require 'active_job/railtie'
require 'net/http'

class Shop < Rails::Application
  config.root = __dir__
  config.eager_load = true
  config.consider_all_requests_local = false
  config.secret_key_base = 'x' * 64
  config.hosts.clear
  config.logger = ActiveSupport::TaggedLogging.new(Logger.new($stdout))
  config.log_level = :info
  config.active_job.queue_adapter = :async
  config.define_singleton_method(:database_configuration) do
    { 'production' => { 'adapter' => 'sqlite3', 'database' => File.join(Dir.home, 'shop.db') } }
  end
  config.paths['log'] = File.join(Dir.home, 'log')
end

class Parts < Rails::Engine
  def self.find_root(*) = Pathname.new(__dir__)
end

class Order < ActiveRecord::Base
end

class Notify < ActiveJob::Base
  queue_as :mails

  def perform(order)
    Rails.logger.info("notify #{order}")
  end
end

class OrdersController < ActionController::Base
  def ready = head(:ok)

  def create
    order = Order.create!(name: params[:name])
    Notify.perform_later(order.id)
    render json: { id: order.id }, status: :created
  end

  def show
    logger.info("order #{params[:id]}")
    render plain: Order.find(params[:id]).name
  end

  def boom = raise(ArgumentError, 'no such thing')
end

Shop.initialize!
ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define { create_table(:orders) { |table| table.string :name } }
Parts.routes.draw { get 'parts/:part', to: ->(env) { [200, {}, [env['PATH_INFO']]] } }
Shop.routes.draw do
  get '/ready', to: 'orders#ready'
  resources :orders, only: %i[create show]
  get '/boom', to: 'orders#boom'
  mount Parts => '/warehouse'
end
run Rails.application
