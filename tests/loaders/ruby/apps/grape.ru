# frozen_string_literal: true

# An API of Grape: a version in the path, parameters, a failure.
require 'grape'

class Parts < Grape::API
  version 'v1', using: :path
  format :json

  get('ready') { 'ready' }

  namespace :parts do
    route_param :id do
      get { { id: params[:id] } }
      get('price') { error!('no price', 503) }
    end
  end
end

map('/shop') { run Parts }
map('/') { run ->(_) { [200, {}, ['up']] } }
