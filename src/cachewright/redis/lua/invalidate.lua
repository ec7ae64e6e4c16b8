-- Drop entries and leases, give tags new stamps, tell everybody. Also ends a two-phase write: removes its own token, and
-- stores what was written, if nobody else can have committed since.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of a stamp in ms
-- ARGV[5] token of the writer whose mark ends, '' for none  ARGV[6] channel  ARGV[7] message, '' to tell nobody
-- ARGV[8] what was written, '' to store nothing: for each key its ttl in ms (0 to store none); how many of the tags its
-- bytes embed the stamp of, and for each of those which (from 1) and where in the bytes (from 1); the bytes behind their
-- length. '<I8I2', 'I2I4', 'I4c0'
-- Reply: 1; where something was written, for each key whether it was stored, 1 or 0, and for each tag its fresh stamp: ''
-- where the token was gone, not alone, or flagged, since what was written may be older than what the source holds
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])
local written = ARGV[8] or ''

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

-- Leave the marks of other writers, flagged; where there are none, put `value` there, or nothing. Returns whether that
-- was done and nobody can have committed since the writer that ends.
local function unmark(key, value, ms)
  local left, most, own = others(stood[key], ARGV[5])
  if left ~= '' then
    redis.call('SET', key, '!' .. flagged(left), 'PX', ms_text(most))
    return false
  end
  if not value then
    gone[#gone + 1] = key
  elseif redis.pcall('SET', key, value, 'PX', ms).err then
    -- Memory is short: no stamp at all serves as well as a fresh one, either differs from what entries carry.
    gone[#gone + 1] = key
    return false
  end
  return own == 'clean'
end

local reply, alone, head, exact = {}, {}, '', ''
for i = 0, nk - 1 do
  alone[i + 1] = unmark(KEYS[3 * i + 2])
  unmark(KEYS[3 * i + 3])
end
remove_gone() -- before a tag is given what a key may just have lost
if nt > 0 then
  head = raise_sequence(KEYS[3 * nk + nt + 1], ARGV[3], ARGV[4])
  if written ~= '' then
    exact = of_one_length(head)
    head = exact ~= '' and exact or head
  end
  local fresh = head .. ':' .. ARGV[3]
  for i = 1, nt do
    reply[nk + i] = unmark(KEYS[3 * nk + i], fresh, ARGV[4]) and fresh or ''
  end
  remove_gone()
end

local at = 1
for i = 1, written ~= '' and nk or 0 do
  local ttl, count, tag, place, data
  local good, places = alone[i], {}
  ttl, count, at = struct.unpack('<I8I2', written, at)
  for n = 1, count do
    tag, place, at = struct.unpack('<I2I4', written, at)
    good, places[n] = good and exact ~= '' and reply[nk + tag] ~= '', place
  end
  data, at = struct.unpack('<I4c0', written, at)
  if good and ttl > 0 then
    for _, where in ipairs(places) do
      data = string.sub(data, 1, where - 1) .. exact .. string.sub(data, where + 29)
    end
    good = not redis.pcall('SET', KEYS[3 * i - 2], data, 'PX', ms_text(ttl)).err
  end
  reply[i] = good and ttl > 0 and 1 or 0
end
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return written ~= '' and reply or 1
