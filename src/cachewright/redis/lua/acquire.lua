-- Take the right to fill keys, each unless somebody filled it meanwhile or holds that right.
-- KEYS: for each key its entry KEYS[1] and its lease KEYS[2]
-- ARGV[1] lease in ms  ARGV[2] id of the caller's process, to be woken when a lease ends, '' for none
-- For each key: ARGV[3] token  ARGV[4] fill id of the entry that the caller saw and will not use, '' for none
-- At the end: ARGV[5] deadline (see fence)
-- Reply: for each key {'lease'} | {'entry', bytes} | {'held', ms left} | {'marked'}
local entries, leases, reply = {}, {}, {}
for n = 1, #KEYS / 2 do
  entries[n], leases[n] = KEYS[2 * n - 1], KEYS[2 * n]
end
-- Looked at together: many calls cost more than what they do. A lease that is no string is none, and replaced.
local stood = redis.call('MGET', unpack(leases))

local function acquire(n, token, seen)
  local entry, lease, held = entries[n], leases[n], stood[n]
  local fill = redis.pcall('GETRANGE', entry, 4, 15)
  if type(fill) == 'table' then
    redis.call('UNLINK', entry)
    fill = ''
  end
  if fill ~= '' and fill ~= seen then
    return {'entry', redis.call('GET', entry)}
  end
  if not held then
    redis.call('SET', lease, token, 'PX', ARGV[1])
    return {'lease'}
  end
  if string.sub(held, 1, 1) == '!' then
    return {'marked'}
  end
  if string.sub(held, 1, #token) == token then
    return {'lease'}
  end
  if ARGV[2] ~= '' and not string.find(held, ARGV[2], 1, true) then
    redis.call('APPEND', lease, ' ' .. ARGV[2])
  end
  return {'held', redis.call('PTTL', lease)}
end

for n = 1, #leases do
  reply[n] = acquire(n, ARGV[2 * n + 1], ARGV[2 * n + 2])
end
return reply
