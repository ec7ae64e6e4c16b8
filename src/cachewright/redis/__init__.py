"""What is peculiar to Redis and Valkey and does not wait: commands, scripts, the breaker. No client, no sockets."""
