-- Store an entry that a caller gave, not a loader: what is being loaded for the key is no longer wanted.
-- KEYS[1] entry  KEYS[2] lease  KEYS[3] stamp of the key
-- ARGV[1] bytes  ARGV[2] ttl in ms  ARGV[3] '*' to store whatever is there, else the fill id that must be there
-- or may be gone ('' for none)  ARGV[4] channel  ARGV[5] message  ARGV[6] deadline (see fence)
-- Reply: 1 stored, 0 something else is there, -1 a write is under way and nothing may be filled
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'string' and string.sub(held, 1, 1) == '!' then
  -- Who wants to store may have read what was committed after the writers' own commits. Where memory is too short
  -- to say so, it is too short for their fills.
  redis.pcall('SET', KEYS[2], '!' .. flagged(string.sub(held, 2)), 'KEEPTTL')
  return -1
end
if ARGV[3] ~= '*' then
  local fill = redis.pcall('GETRANGE', KEYS[1], 4, 15)
  if type(fill) == 'string' and fill ~= '' and fill ~= ARGV[3] then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
