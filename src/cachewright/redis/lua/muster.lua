-- Say that a worker of a queue lives, and count those that do.
-- KEYS[1] the workers by when they count as gone    ARGV[1] worker  ARGV[2] ms until it counts as gone, 0 when it leaves
-- Reply: how many live
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms))
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + tonumber(ARGV[2])), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 10 * tonumber(ARGV[2])))
end
return redis.call('ZCARD', KEYS[1])
