-- Drop entries and leases, give tags new stamps, tell everybody. Also ends a two-phase write: removes its own token.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of a stamp in ms
-- ARGV[5] token of the writer whose mark ends, '' for none  ARGV[6] channel  ARGV[7] message, '' to tell nobody
-- Reply: 1
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])

-- Leave the marks of other writers; where there are none, put `value` there, or nothing.
local function unmark(key, value)
  local left, ms = others(redis.pcall('GET', key), ARGV[5])
  if left ~= '' then
    redis.call('SET', key, '!' .. left, 'PX', ms_text(ms))
  elseif not value or redis.pcall('SET', key, value, 'PX', ARGV[4]).err then
    -- Where memory is short, no stamp at all serves as well as a fresh one: either differs from what entries carry.
    redis.call('UNLINK', key)
  end
end

for i = 0, nk - 1 do
  redis.call('UNLINK', KEYS[3 * i + 1])
  unmark(KEYS[3 * i + 2])
  unmark(KEYS[3 * i + 3])
end
if nt > 0 then
  local fresh = raise_sequence(KEYS[3 * nk + nt + 1], ARGV[3], ARGV[4]) .. ':' .. ARGV[3]
  for i = 3 * nk + 1, 3 * nk + nt do
    unmark(KEYS[i], fresh)
  end
end
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return 1
