-- Changes have reached the source: take them out of the overlay, out of the queue, or both.
-- KEYS[1] stream  KEYS[2] pending overlay
-- ARGV[1] consumer group, '' for a stream without one  ARGV[2] msgpack: key, ms, sequence number of its last change, ...
-- ARGV[3] msgpack: ids of the stream
-- Reply: how many keys have nothing pending any more
local gone = 0
local changed = cmsgpack.unpack(ARGV[2])
for n = 1, #changed, 3 do
  local key, last_ms, last_seq = changed[n], changed[n + 1], changed[n + 2]
  local log = redis.call('HGET', KEYS[2], key)
  if log then
    local at = 1
    while at <= #log do
      local ms, seq, _, size = struct.unpack('<I8I4BI4', log, at)
      -- What came later is still pending, and stays.
      if ms > last_ms or (ms == last_ms and seq > last_seq) then
        break
      end
      at = at + 17 + size
    end
    if at > #log then
      redis.call('HDEL', KEYS[2], key)
      gone = gone + 1
    elseif at > 1 then
      redis.call('HSET', KEYS[2], key, string.sub(log, at))
    end
  end
end
for _, id in ipairs(cmsgpack.unpack(ARGV[3])) do
  if ARGV[1] ~= '' then
    redis.call('XACK', KEYS[1], ARGV[1], id)
  end
  redis.call('XDEL', KEYS[1], id)
end
return gone
