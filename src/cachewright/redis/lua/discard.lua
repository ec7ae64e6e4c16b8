-- Remove an entry that nobody can read, if it is still the one that was read.
-- KEYS[1] entry    ARGV[1] its first bytes  ARGV[2] 'other' for one that is not a string at all
-- Reply: 1 removed, 0 something else is there
local start = redis.pcall('GETRANGE', KEYS[1], 0, 63)
if ARGV[2] == 'other' then
  if type(start) ~= 'table' then
    return 0
  end
elseif start ~= ARGV[1] then
  return 0
end
return redis.call('UNLINK', KEYS[1])
