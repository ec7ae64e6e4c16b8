-- Begin, re-assert or renew a two-phase write: destroy entries and stamps, leave the writer's token in their place.
-- While any token lives nothing can be filled. Tells everybody when a mark had to be made.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of the sequence in ms
-- ARGV[5] token  ARGV[6] channel  ARGV[7] message  ARGV[8] ms for which the token lives
-- ARGV[9] 'renew' to make no mark that is gone, as after the end of the write  ARGV[10] deadline (see fence)
-- Reply: how many marks had to be made; an error where memory is too short for one
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])
local token, ttl, renewing = ARGV[5], tonumber(ARGV[8]), ARGV[9] == 'renew'
local ends = ms_text(now_in_ms() + ttl)
local made = 0
local refused

-- All marks are looked at together: many calls cost more than what they do.
local names, stood, entries = {}, {}, {}
for i = 0, nk - 1 do
  entries[i + 1] = KEYS[3 * i + 1]
  names[#names + 1], names[#names + 2] = KEYS[3 * i + 2], KEYS[3 * i + 3]
end
for i = 3 * nk + 1, 3 * nk + nt do
  names[#names + 1] = KEYS[i]
end
for n, old in ipairs(strings_at(names)) do
  stood[names[n]] = old
end

local function mark(key)
  local old = stood[key]
  local held = type(old) == 'string' and string.sub(old, 1, 1) == '!' and string.find(old, token, 1, true)
  if renewing and not held then
    return 0
  end
  local left, ms, own = others(old, token)
  local flag = (own == 'flagged' or own == 'gone') and '~' or ''
  local value = '!' .. left .. flag .. token .. '@' .. ends .. ','
  local done = redis.pcall('SET', key, value, 'PX', ms_text(math.max(ms, ttl)))
  if done.err then
    -- Memory is short: what was there is destroyed all the same, and the writer hears that it is not marked.
    redis.call('UNLINK', key)
    refused = done
  end
  return held and 0 or 1
end

if nk > 0 and not renewing then
  redis.call('UNLINK', unpack(entries))
end
for i = 0, nk - 1 do
  -- The stamp as well: what is made from the key's value, or from its absence, must not be stored either.
  made = made + math.max(mark(KEYS[3 * i + 2]), mark(KEYS[3 * i + 3]))
end
for i = 3 * nk + 1, 3 * nk + nt do
  made = made + mark(KEYS[i])
end
if made > 0 then
  if nt > 0 then
    raise_sequence(KEYS[3 * nk + nt + 1], ARGV[3], ARGV[4])
  end
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return refused or made
