-- Drop entries and leases, give tags new stamps, tell everybody. Also ends a two-phase write: removes its own token.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of a stamp in ms
-- ARGV[5] token of the writer whose mark ends, '' for none  ARGV[6] channel  ARGV[7] message, '' to tell nobody
-- ARGV[8] ms of the lease to fill with what was written, which the writer gets in place of its mark; '' for none
-- Reply: 1; where a lease was wanted, a text for each key, its lease's token, and for each tag, its fresh stamp: ''
-- where the token was gone, not alone, or flagged, since what was written may be older than what the source holds
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])
local lease_ms = ARGV[8] ~= '' and ARGV[8]

-- All names are looked at, and those that go removed, together: many calls cost more than what they do.
local names, stood, gone = {}, {}, {}
for i = 0, nk - 1 do
  gone[i + 1] = KEYS[3 * i + 1]
  names[#names + 1], names[#names + 2] = KEYS[3 * i + 2], KEYS[3 * i + 3]
end
for i = 3 * nk + 1, 3 * nk + nt do
  names[#names + 1] = KEYS[i]
end
for n, old in ipairs(strings_at(names)) do
  stood[names[n]] = old
end

local function remove_gone()
  if #gone > 0 then
    redis.call('UNLINK', unpack(gone))
    gone = {}
  end
end

-- Leave the marks of other writers, flagged; where there are none, put `value` there, or nothing.
-- `owned`: only if nobody can have committed since the writer that ends. Returns the value in that case, else ''.
local function unmark(key, value, ms, owned)
  local left, most, own = others(stood[key], ARGV[5])
  if left ~= '' then
    redis.call('SET', key, '!' .. flagged(left), 'PX', ms_text(most))
    return ''
  end
  if not value or (owned and own ~= 'clean') or redis.pcall('SET', key, value, 'PX', ms).err then
    -- Where memory is short, no stamp at all serves as well as a fresh one: either differs from what entries carry.
    gone[#gone + 1] = key
    return ''
  end
  return own == 'clean' and value or ''
end

local reply = {}
for i = 0, nk - 1 do
  reply[#reply + 1] = unmark(KEYS[3 * i + 2], lease_ms and ARGV[5], lease_ms, true)
  unmark(KEYS[3 * i + 3])
end
remove_gone() -- before a tag is given what a key may just have lost
if nt > 0 then
  local fresh = raise_sequence(KEYS[3 * nk + nt + 1], ARGV[3], ARGV[4]) .. ':' .. ARGV[3]
  for i = 3 * nk + 1, 3 * nk + nt do
    reply[#reply + 1] = unmark(KEYS[i], fresh, ARGV[4])
  end
  remove_gone()
end
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return lease_ms and reply or 1
