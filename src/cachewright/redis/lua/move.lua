-- Move changes from one stream of a partition to another, in their order: parked, dead, parked again.
-- KEYS[1] from  KEYS[2] to  KEYS[3] lease of the partition
-- ARGV[1] token, '' for whoever asks  ARGV[2] consumer group of the first stream, '' for none  ARGV[3] cause, '' for none
-- ARGV[4] deliveries so far  ARGV[5] msgpack: ids
-- Reply: the new ids; an error (LOST) when the lease is not the caller's
if ARGV[1] ~= '' and redis.pcall('GET', KEYS[3]) ~= ARGV[1] then
  return redis.error_reply('LOST another worker holds the partition')
end
local moved = {}
for _, id in ipairs(cmsgpack.unpack(ARGV[5])) do
  local found = redis.call('XRANGE', KEYS[1], id, id)
  if found[1] then
    local field = {}
    for n = 1, #found[1][2], 2 do
      field[found[1][2][n]] = found[1][2][n + 1]
    end
    moved[#moved + 1] = redis.call('XADD', KEYS[2], '*', 'v', field.v, 'o', field.o or id, 'c', ARGV[3], 'n', ARGV[4])
    if ARGV[2] ~= '' then
      redis.call('XACK', KEYS[1], ARGV[2], id)
    end
    redis.call('XDEL', KEYS[1], id)
  end
end
return moved
