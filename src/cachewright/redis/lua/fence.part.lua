-- Part of verbs that must not run late: a caller that has given up may have said something else since.
-- The last argument is the caller's deadline by this server's clock, in microseconds; 0 for none.
local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local deadline_us = tonumber(ARGV[#ARGV])
if deadline_us > 0 and now_us > deadline_us then
  return redis.error_reply('LATE the caller has given up')
end
