-- Part of verbs that change marks. A mark is '!' and the tokens of its writers, each with its own end:
-- '!token@ms,~token@ms,'. A writer that died leaves a token that ends by itself, whatever the others do.
-- A '~' flags a token: since its writer marked, somebody else may have committed. Whoever ends, invalidates or wants
-- to store while the token stands flags it, and so does a token that runs out without an end. Its writer may fill
-- nothing then: what it wrote may be older than what the source holds.
local function now_in_ms()
  local clock = redis.call('TIME')
  return tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
end

local function flagged(tokens)
  return (string.gsub(tokens, '~?([^,]+,)', '~%1'))
end

-- The living tokens of a mark but one, as text without the '!'; how many ms the last of them has left; and how the
-- one stands there: 'clean', 'flagged', 'gone' where it has run out, '' where it is not.
local function others(mark, token)
  local left, most, own, ran_out = '', 0, '', false
  if type(mark) == 'string' and string.byte(mark) == 33 then -- '!'
    local now_ms = now_in_ms()
    for flag, name, ends in string.gmatch(mark, '(~?)([^!@,~]+)@(%d+),') do
      local ms = tonumber(ends) - now_ms
      if name == token then
        own = ms <= 0 and 'gone' or flag == '' and 'clean' or 'flagged'
      elseif ms > 0 then
        left = left .. flag .. name .. '@' .. ends .. ','
        most = math.max(most, ms)
      else
        ran_out = true
      end
    end
  end
  if ran_out then
    left = flagged(left)
    own = own == 'clean' and 'flagged' or own
  end
  return left, most, own
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
