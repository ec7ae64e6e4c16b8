-- Acknowledge changes of different keys of one partition: queue entries, pending overlay, cached values, in one step.
-- KEYS: stream, pending overlay, stream of parked changes, sequence, stamp of the table's tag; then for each change its
-- entry, lease, stamp of the key and stamp of the row's tag
-- ARGV[1] the changes: kind (1 put, 2 patch, 3 delete), ttl of the entry in ms (0 to store none), where in the entry the
-- row's stamp begins (from 1), lengths of key, identity and bytes, as '<BI8I4I4I4I4', and then those
-- ARGV[2] most entries of the partition  ARGV[3] fresh random hex  ARGV[4] ttl of a stamp in ms
-- ARGV[5] channel  ARGV[6] message  ARGV[7] deadline (see fence)
-- Reply: 'number:lineage' of the fresh stamps; then for each change {stream id, 1 if an entry was stored}, or 0 or 1 where
-- the partition is full: whether a change of the key is pending. An error where memory is too short: nothing was done
local stream, pending, parked, sequence, of_table = unpack(KEYS, 1, 5)
local room = tonumber(ARGV[2]) - redis.call('XLEN', stream) - redis.call('XLEN', parked)

local reply, kept, logs, names = {''}, {}, {}, {}
local at, n = 1, 0
while at <= #ARGV[1] do
  local kind, ttl, place, key_size, id_size, size = struct.unpack('<BI8I4I4I4I4', ARGV[1], at)
  local key = string.sub(ARGV[1], at + 25, at + 24 + key_size)
  at = at + 25 + key_size
  local identity = string.sub(ARGV[1], at, at + id_size - 1)
  at = at + id_size
  local data = string.sub(ARGV[1], at, at + size - 1)
  at = at + size
  n = n + 1
  if n > room then
    reply[n + 1] = redis.call('HEXISTS', pending, key)
  else
    local id = redis.call('XADD', stream, '*', 'k', key, 'i', identity, 't', kind, 'v', data)
    -- The overlay of a key is a log: a whole value (or its end) and the patches that came after it.
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    local log = struct.pack('<I8I4BI4', tonumber(ms), tonumber(seq), kind, size) .. data
    if kind == 2 then
      log = (redis.call('HGET', pending, key) or '') .. log
    end
    logs[#logs + 1] = key
    logs[#logs + 1] = log
    for i = 4 * n + 3, 4 * n + 5 do
      names[#names + 1] = KEYS[i]
    end
    reply[n + 1] = {id, 0}
    kept[n] = {ttl, place, data}
  end
end
if #names == 0 then
  return reply
end
redis.call('HSET', pending, unpack(logs))
names[#names + 1] = of_table

-- What was made from the rows is wrong now. The marks of writers stay, flagged; what is marked is not cached.
local held, dead = redis.call('MGET', unpack(names)), {}
for i, name in ipairs(names) do
  local left, left_ms = '', 0
  if held[i] then
    left, left_ms = others(held[i], '')
  end
  if left ~= '' then
    redis.call('SET', name, '!' .. flagged(left), 'PX', ms_text(left_ms))
    local change = kept[math.ceil(i / 3)] -- none for the table's tag, which no row's entry carries
    if change then
      change[1] = 0
    end
  else
    dead[#dead + 1] = name
  end
end
for i = 1, #kept do
  dead[#dead + 1] = KEYS[4 * i + 2]
end
redis.call('UNLINK', unpack(dead))

local number, lineage = string.match(raise_sequence(sequence, ARGV[3], ARGV[4]), '^(%d+):(%w+)$')
local head = string.format('%016.0f', tonumber(number)) .. ':' .. lineage
reply[1] = head
for i, change in ipairs(kept) do
  local ttl, place, data = unpack(change)
  if ttl > 0 and #head == 29 then
    local entry = string.sub(data, 1, place - 1) .. head .. string.sub(data, place + 29)
    local stamped = redis.pcall('SET', KEYS[4 * i + 5], head .. ':' .. ARGV[3], 'PX', ARGV[4])
    if not (stamped.err or redis.pcall('SET', KEYS[4 * i + 2], entry, 'PX', ms_text(ttl)).err) then
      reply[i + 1][2] = 1
    end
  end
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return reply
