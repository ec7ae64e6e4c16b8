-- Read the stamps of tags and make the missing ones, so that an entry embeds only what is there.
-- KEYS[1..n] tags  KEYS[n+1] sequence (left out where tags may lie on several nodes)
-- ARGV[1] n  ARGV[2] fresh random hex  ARGV[3] ttl of a stamp in ms
-- Reply: {sequence, stamp 1, ..., stamp n}; a stamp is 'number:lineage:random', a mark starts with '!'
local n = tonumber(ARGV[1])
local seq = '0:none'
if KEYS[n + 1] then
  seq = redis.pcall('GET', KEYS[n + 1])
  if type(seq) ~= 'string' then
    -- A lost sequence starts another lineage: what is compared across lineages counts as newer.
    seq = '0:' .. string.sub(ARGV[2], 1, 12)
    redis.call('SET', KEYS[n + 1], seq, 'PX', ARGV[3])
  elseif redis.call('PTTL', KEYS[n + 1]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[n + 1], ARGV[3])
  end
end
local reply, raw = {seq}, {}
for i = 1, n do
  local at = (i - 1) % 1000 + 1
  if at == 1 then -- as many as fit on the stack; what is no string reads as nothing
    raw = redis.call('MGET', unpack(KEYS, i, math.min(i + 999, n)))
  end
  local stamp = raw[at]
  if type(stamp) ~= 'string' then
    stamp = seq .. ':' .. ARGV[2]
    redis.call('SET', KEYS[i], stamp, 'PX', ARGV[3])
  elseif string.sub(stamp, 1, 1) ~= '!' and redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
  reply[i + 1] = stamp
end
return reply
