-- Store a loaded entry if the lease it was loaded under still stands, or give the lease back. Wakes who waits.
-- KEYS[1] entry  KEYS[2] lease
-- ARGV[1] token  ARGV[2] bytes, '' to store nothing  ARGV[3] ttl in ms  ARGV[4] prefix of the wake channels
-- ARGV[5] message for those who wait
-- Reply: 1 the lease stood, 0 it was lost and nothing changed; an error where memory is too short
local held = redis.pcall('GET', KEYS[2])
if type(held) ~= 'string' or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
local refused
if ARGV[2] ~= '' then
  local done = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  if done.err then
    -- Memory is short: what was there is older, and nobody need wait for us.
    redis.call('UNLINK', KEYS[1])
    refused = done
  end
end
redis.call('UNLINK', KEYS[2])
for process in string.gmatch(string.sub(held, #ARGV[1] + 1), '%S+') do
  redis.call('PUBLISH', ARGV[4] .. process, ARGV[5])
end
return refused or 1
