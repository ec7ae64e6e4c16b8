-- Drop entries and leases, give tags new stamps, tell everybody. Also ends a two-phase write: removes its own token.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of a stamp in ms
-- ARGV[5] token of the writer whose mark ends, '' for none  ARGV[6] channel  ARGV[7] message, '' to tell nobody
-- Reply: 1
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])
local token = ARGV[5]

-- Where memory is short, no stamp at all serves as well as a fresh one: either differs from what entries carry.
local function put(key, value)
  local done = redis.pcall('SET', key, value, 'PX', ARGV[4])
  if done.err then
    redis.call('UNLINK', key)
  end
end

-- What is left of a mark without our token; nil when nothing is marked any more.
local function left_of(mark)
  if type(mark) ~= 'string' or string.sub(mark, 1, 1) ~= '!' then
    return nil
  end
  local left = '!'
  for other in string.gmatch(string.sub(mark, 2), '[^,]+') do
    if other ~= token then
      left = left .. other .. ','
    end
  end
  if left ~= '!' then
    return left
  end
end

for i = 0, nk - 1 do
  local entry, lease, stamp = KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3]
  redis.call('UNLINK', entry, stamp)
  local left = left_of(redis.pcall('GET', lease))
  if left then
    redis.call('SET', lease, left, 'KEEPTTL')
  else
    redis.call('UNLINK', lease)
  end
end

if nt > 0 then
  local seq = '0:none'
  local sequence = KEYS[3 * nk + nt + 1]
  if sequence then
    seq = redis.pcall('GET', sequence)
    local number, lineage = string.match(type(seq) == 'string' and seq or '', '^(%d+):(%w+)$')
    if number then
      seq = string.format('%.0f', tonumber(number) + 1) .. ':' .. lineage
    else
      seq = '1:' .. string.sub(ARGV[3], 1, 12)
    end
    put(sequence, seq)
  end
  local fresh = seq .. ':' .. ARGV[3]
  for i = 3 * nk + 1, 3 * nk + nt do
    local left = left_of(redis.pcall('GET', KEYS[i]))
    if left then
      redis.call('SET', KEYS[i], left, 'KEEPTTL')
    else
      put(KEYS[i], fresh)
    end
  end
end

if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return 1
