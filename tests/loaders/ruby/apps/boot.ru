# frozen_string_literal: true

# The shop as it boots elsewhere: by bootsnap where BOOTSNAP names its cache, with a log line before there is a request.
if (cache = ENV['BOOTSNAP'])
  require 'bootsnap'
  Bootsnap.setup(cache_dir: cache, development_mode: false, load_path_cache: defined?(Bundler) ? true : false,
                 compile_cache_iseq: true, compile_cache_yaml: false, compile_cache_json: false)
end
require 'logger'
Logger.new(File.open(File::NULL, 'w')).info('boots')
instance_eval(File.read(File.join(__dir__, 'shop.ru')), 'shop.ru')
