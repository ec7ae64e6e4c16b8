-- Give a living entry another life, without moving its value.
-- KEYS[1] entry
-- ARGV[1] now  ARGV[2] 16 bytes: fresh until and usable until  ARGV[3] 4 bytes: lifetime  ARGV[4] ttl in ms
-- ARGV[5] channel  ARGV[6] message  ARGV[7] deadline (see fence)
-- Reply: 1 touched, 0 there is nothing to touch
local head = redis.pcall('GETRANGE', KEYS[1], 0, 47)
if type(head) ~= 'string' or #head < 48 or string.byte(head, 1) ~= 1 then
  return 0
end
if struct.unpack('<d', head, 25) <= tonumber(ARGV[1]) then
  return 0
end
redis.call('SETRANGE', KEYS[1], 16, ARGV[2] .. ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
