-- Store loaded entries, each if the lease it was loaded under still stands, or give leases back. Wakes who waits.
-- KEYS: for each key its entry KEYS[1] and its lease KEYS[2]
-- ARGV[1] prefix of the wake channels
-- For each key: ARGV[2] token  ARGV[3] bytes, '' to store nothing  ARGV[4] ttl in ms  ARGV[5] message for who waits
-- Reply: for each key 1 the lease stood, 0 it was lost and nothing changed; an error where memory is too short
local leases, ended, reply = {}, {}, {}
for n = 1, #KEYS / 2 do
  leases[n] = KEYS[2 * n]
end
-- All leases are looked at, and those that end removed, together: many calls cost more than what they do.
local stood = redis.call('MGET', unpack(leases))

local function fill(n, token, data, ttl, message)
  local entry, held = KEYS[2 * n - 1], stood[n]
  if type(held) ~= 'string' or string.sub(held, 1, #token) ~= token then
    return 0
  end
  local refused
  if data ~= '' then
    local done = redis.pcall('SET', entry, data, 'PX', ttl)
    if done.err then
      -- Memory is short: what was there is older, and nobody need wait for us.
      ended[#ended + 1] = entry
      refused = done
    end
  end
  ended[#ended + 1] = leases[n]
  if #held > #token then
    for process in string.gmatch(string.sub(held, #token + 1), '%S+') do
      redis.call('PUBLISH', ARGV[1] .. process, message)
    end
  end
  return refused or 1
end

for n = 1, #leases do
  reply[n] = fill(n, unpack(ARGV, 4 * n - 2, 4 * n + 1))
end
if #ended > 0 then
  redis.call('UNLINK', unpack(ended))
end
return reply
