run ->(environment) { [200, {}, ["hello"]] }
