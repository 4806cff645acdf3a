# A connection that is older than the agent waits longer than puma would have it.
threads 8, 8
first_data_timeout 300
persistent_timeout 300
