-- Part of verbs that change marks. A mark is '!' and the tokens of its writers, each with its own end:
-- '!token@ms,token@ms,'. A writer that died leaves a token that ends by itself, whatever the others do.
local function now_in_ms()
  local clock = redis.call('TIME')
  return tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
end

-- The living tokens of a mark but one, as text without the '!', and how many ms the last of them has left.
local function others(mark, token)
  local left, most = '', 0
  if type(mark) == 'string' and string.byte(mark) == 33 then -- '!'
    local now_ms = now_in_ms()
    for name, ends in string.gmatch(mark, '([^!@,]+)@(%d+),') do
      local ms = tonumber(ends) - now_ms
      if name ~= token and ms > 0 then
        left = left .. name .. '@' .. ends .. ','
        most = math.max(most, ms)
      end
    end
  end
  return left, most
end

local function ms_text(number)
  return string.format('%.0f', number)
end

-- Tags have moved: raise the sequence, so that a stamp made from now on shows that it is younger than older loads.
-- Where memory is too short the sequence is dropped, and the next one begins another lineage.
local function raise_sequence(key, random, ttl)
  if not key then
    return '0:none'
  end
  local old = redis.pcall('GET', key)
  local number, lineage = string.match(type(old) == 'string' and old or '', '^(%d+):(%w+)$')
  local new = '1:' .. string.sub(random, 1, 12)
  if number then
    new = ms_text(tonumber(number) + 1) .. ':' .. lineage
  end
  if redis.pcall('SET', key, new, 'PX', ttl).err then
    redis.call('UNLINK', key)
  end
  return new
end
