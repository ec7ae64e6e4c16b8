-- Add to a counter, or begin one. The digits stand at the end of the entry, behind header and meta.
-- KEYS[1] entry  KEYS[2] lease  KEYS[3] stamp of the key
-- ARGV[1] delta  ARGV[2] entry to store where there is no counter  ARGV[3] its ttl in ms
-- ARGV[4] header and meta the entry must agree with  ARGV[5] now, wall-clock seconds
-- ARGV[6] fresh fill id  ARGV[7] channel  ARGV[8] message  ARGV[9] deadline (see fence)
-- Reply: {1, digits} | {0, why}: 'marked', 'type' (a value that is no counter) or 'range' (beyond 2^53)
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'string' and string.sub(held, 1, 1) == '!' then
  return {0, 'marked'}
end
local old = redis.pcall('GET', KEYS[1])
local digits
if type(old) == 'string' and #old >= 48 and string.byte(old, 1) == 1 then
  local size = struct.unpack('<I4', old, 45)
  local usable = struct.unpack('<d', old, 25)
  local meta = string.sub(old, 49, 48 + size)
  if usable > tonumber(ARGV[5]) and meta == ARGV[4] then
    local kind = string.byte(old, 4)
    if kind ~= 4 and kind ~= 1 then
      return {0, 'type'}
    end
    -- A negative entry (kind 1) is no value: the count begins.
    local stands = kind == 4 and string.match(string.sub(old, 49 + size), '^%-?%d+$')
    if stands and #stands <= 17 then
      local number = tonumber(stands) + tonumber(ARGV[1])
      if math.abs(number) > 9007199254740991 then
        return {0, 'range'}
      end
      digits = string.format('%.0f', number)
      local entry = string.sub(old, 1, 4) .. ARGV[6] .. string.sub(old, 17, 48 + size) .. digits
      redis.call('SET', KEYS[1], entry, 'KEEPTTL')
    end
  end
end
if not digits then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  digits = string.sub(ARGV[2], 49 + #ARGV[4])
end
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('PUBLISH', ARGV[7], ARGV[8])
return {1, digits}
