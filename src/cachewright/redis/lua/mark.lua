-- Begin, re-assert or renew a two-phase write: destroy entries and stamps, leave the writer's token in their place.
-- While any token remains nothing can be filled. Tells everybody when a mark had to be made.
-- KEYS: nk times (entry, lease, stamp of the key), nt tags, then the sequence (may be left out)
-- ARGV[1] nk  ARGV[2] nt  ARGV[3] fresh random hex  ARGV[4] ttl of the sequence in ms
-- ARGV[5] token  ARGV[6] channel  ARGV[7] message  ARGV[8] ttl of a mark in ms
-- Reply: how many marks had to be made; an error where memory is too short for one
local nk, nt = tonumber(ARGV[1]), tonumber(ARGV[2])
local token, ttl = ARGV[5], tonumber(ARGV[8])
local made = 0
local refused

-- Several writers may hold one mark, and it lasts as long as the most patient of them needs.
local function mark(key)
  local old = redis.pcall('GET', key)
  if type(old) == 'string' and string.sub(old, 1, 1) == '!' then
    if string.find(old, token, 1, true) then
      if redis.call('PTTL', key) < ttl then
        redis.call('PEXPIRE', key, ttl)
      end
      return
    end
  else
    old = '!'
  end
  local left = math.max(ttl, redis.call('PTTL', key))
  local done = redis.pcall('SET', key, old .. token .. ',', 'PX', old == '!' and ttl or left)
  if done.err then
    -- Memory is short: what was there is destroyed all the same, and the writer hears that it is not marked.
    redis.call('UNLINK', key)
    refused = done
  end
  made = made + 1
end

for i = 0, nk - 1 do
  redis.call('UNLINK', KEYS[3 * i + 1], KEYS[3 * i + 3])
  mark(KEYS[3 * i + 2])
end
for i = 3 * nk + 1, 3 * nk + nt do
  mark(KEYS[i])
end

local sequence = KEYS[3 * nk + nt + 1]
if made > 0 and nt > 0 and sequence then
  local seq = redis.pcall('GET', sequence)
  local number, lineage = string.match(type(seq) == 'string' and seq or '', '^(%d+):(%w+)$')
  if number then
    seq = string.format('%.0f', tonumber(number) + 1) .. ':' .. lineage
  else
    seq = '1:' .. string.sub(ARGV[3], 1, 12)
  end
  if redis.pcall('SET', sequence, seq, 'PX', ARGV[4]).err then
    redis.call('UNLINK', sequence)
  end
end
if made > 0 then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
end
return refused or made
