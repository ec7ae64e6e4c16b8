-- The next entries of a partition, for whoever holds it: first all that was delivered and not acknowledged, then new ones.
-- One step with the look at the lease: who has lost it could else take entries away that its successor never sees.
-- KEYS[1] stream  KEYS[2] lease of the partition
-- ARGV[1] token  ARGV[2] consumer group  ARGV[3] consumer  ARGV[4] most entries  ARGV[5] 'again' or 'new'
-- Reply: the entries, oldest first; an error (LOST) when the lease is not the caller's
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then
  return redis.error_reply('LOST another worker holds the partition')
end
if ARGV[5] == 'again' then
  local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[2], ARGV[3], 0, '0-0', 'COUNT', ARGV[4])
  local found = {}
  for _, entry in ipairs(claimed[2]) do
    if entry then
      found[#found + 1] = entry
    end
  end
  return found
end
local read = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], '>')
return read and read[1][2] or {}
