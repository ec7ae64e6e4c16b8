-- Acknowledge changes of different keys: queue entries, pending overlay, cached values, in one step.
-- KEYS: sequence; for each partition its stream, pending overlay and stream of parked changes; stamp of the table's tag;
-- for each change its lease, stamp of the key and stamp of the row's tag; and then for each change its entry
-- ARGV[1] the changes: partition (from 0), ttl of the entry in ms (0 to store none), where in the entry the row's stamp
-- begins (from 1), and what the queue holds of it: kind (1 put, 2 patch, 3 delete); key, identity and bytes, each behind
-- its length. '<I2I8I4' and 'BI4c0I4c0I4c0'
-- ARGV[2] how many partitions  ARGV[3] most entries of a partition  ARGV[4] fresh random hex  ARGV[5] ttl of a stamp in ms
-- ARGV[6] channel  ARGV[7] message  ARGV[8] deadline (see fence)
-- Reply: 'number:lineage' of the fresh stamps; then for each change its stream id, in a list by itself if an entry was
-- stored; or 0 or 1 where its partition is full: whether a change of the key is pending. An error where memory is too
-- short: nothing was done
local sequence = unpack(KEYS, 1, 1)
local partitions, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local of_table = 3 * partitions + 2 -- where in KEYS
local total = (#KEYS - of_table) / 4
local room, logs = {}, {}
for p = 0, partitions - 1 do
  room[p] = limit - redis.call('XLEN', KEYS[3 * p + 2]) - redis.call('XLEN', KEYS[3 * p + 4])
  logs[p] = {}
end

local changes, reply, kept, taken = ARGV[1], {''}, {}, {}
local at = 1
for i = 1, total do
  local p, ttl, place, kind, key, _, data, after =
    struct.unpack('<I2I8I4BI4c0I4c0I4c0', changes, at)
  local change = string.sub(changes, at + 14, after - 1) -- from the kind on
  at = after
  local pending = KEYS[3 * p + 3]
  if room[p] <= 0 then
    reply[i + 1] = redis.call('HEXISTS', pending, key)
  else
    room[p] = room[p] - 1
    local id = redis.call('XADD', KEYS[3 * p + 2], '*', 'v', change)
    -- The overlay of a key is a log: a whole value (or its end) and the patches that came after it.
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    local log = struct.pack('<I8I4BI4', tonumber(ms), tonumber(seq), kind, #data) .. data
    if kind == 2 then
      log = (redis.call('HGET', pending, key) or '') .. log
    end
    local fields = logs[p]
    local m = #fields
    fields[m + 1], fields[m + 2] = key, log
    reply[i + 1] = id
    taken[#taken + 1] = i
    if ttl > 0 then
      kept[i] = {ttl, place, data}
    end
  end
end
if #taken == 0 then
  return reply
end
for p, fields in pairs(logs) do
  if fields[1] then
    redis.call('HSET', KEYS[3 * p + 3], unpack(fields))
  end
end

-- What was made from the rows is wrong now. The marks of writers stay, flagged; what is marked is not cached.
local dead
if #taken == total then
  dead = {unpack(KEYS, of_table, of_table + 3 * total)}
else
  dead = {KEYS[of_table]}
  for _, i in ipairs(taken) do
    for n = of_table + 3 * i - 2, of_table + 3 * i do
      dead[#dead + 1] = KEYS[n]
    end
  end
end
local held = redis.call('MGET', unpack(dead))
for n = #dead, 1, -1 do
  if held[n] then
    local left, left_ms = others(held[n], '')
    if left ~= '' then
      redis.call('SET', table.remove(dead, n), '!' .. flagged(left), 'PX', ms_text(left_ms))
      -- None for the table's tag, which no row's entry carries.
      local i = taken[math.ceil((n - 1) / 3)]
      if i then
        kept[i] = nil
      end
    end
  end
end
local entries = of_table + 3 * total
for _, i in ipairs(taken) do
  dead[#dead + 1] = KEYS[entries + i]
end
redis.call('UNLINK', unpack(dead))

local head = of_one_length(raise_sequence(sequence, ARGV[4], ARGV[5]))
reply[1] = head
for i, change in pairs(kept) do
  local ttl, place, data = unpack(change)
  if head ~= '' then
    local entry = string.sub(data, 1, place - 1) .. head .. string.sub(data, place + 29)
    local stamp, name = KEYS[of_table + 3 * i], KEYS[entries + i]
    local stamped = redis.pcall('SET', stamp, head .. ':' .. ARGV[4], 'PX', ARGV[5])
    if not (stamped.err or redis.pcall('SET', name, entry, 'PX', ms_text(ttl)).err) then
      reply[i + 1] = {reply[i + 1]}
    end
  end
end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return reply
