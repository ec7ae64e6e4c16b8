-- Read an entry and, if it slides, extend its life by its window, at most to its age limit. One atomic step.
-- KEYS[1] entry    ARGV[1] now, wall-clock seconds
-- Reply: the entry, or nil
local entry = redis.call('GET', KEYS[1])
if entry and #entry >= 48 and string.byte(entry, 1) == 1 and string.byte(entry, 4) == 2 then
  local window = struct.unpack('<f', entry, 41)
  local left = struct.unpack('<d', entry, 25) - tonumber(ARGV[1])
  local ms = math.floor(math.min(window, left) * 1000)
  if ms > 0 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ms))
  end
end
return entry
