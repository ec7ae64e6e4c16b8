-- Take the right to fill a key, unless somebody filled it meanwhile or holds that right.
-- KEYS[1] entry  KEYS[2] lease
-- ARGV[1] token  ARGV[2] lease in ms  ARGV[3] fill id of the entry the caller saw and will not use, '' for none
-- ARGV[4] id of the caller's process, to be woken when the lease ends, '' for none  ARGV[5] deadline (see fence)
-- Reply: {'lease'} | {'entry', bytes} | {'held', ms left} | {'marked'}
local fill = redis.pcall('GETRANGE', KEYS[1], 4, 15)
if type(fill) == 'table' then
  redis.call('UNLINK', KEYS[1])
  fill = ''
end
if fill ~= '' and fill ~= ARGV[3] then
  return {'entry', redis.call('GET', KEYS[1])}
end
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'table' then
  redis.call('UNLINK', KEYS[2])
  held = false
end
if not held then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  return {'lease'}
end
if string.sub(held, 1, 1) == '!' then
  return {'marked'}
end
if string.sub(held, 1, #ARGV[1]) == ARGV[1] then
  return {'lease'}
end
if ARGV[4] ~= '' and not string.find(held, ARGV[4], 1, true) then
  redis.call('APPEND', KEYS[2], ' ' .. ARGV[4])
end
return {'held', redis.call('PTTL', KEYS[2])}
