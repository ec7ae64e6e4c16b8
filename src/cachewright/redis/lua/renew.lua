-- Keep a lease while its load goes on.
-- KEYS[1] lease    ARGV[1] token  ARGV[2] lease in ms
-- Reply: 1 renewed, 0 lost
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
