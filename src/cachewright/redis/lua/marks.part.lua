-- Part of verbs that change marks. A mark is '!' and the tokens of its writers, each with its own end:
-- '!token@ms,~token@ms,'. A writer that died leaves a token that ends by itself, whatever the others do.
-- A '~' flags a token: since its writer marked, somebody else may have committed. Whoever ends, invalidates or wants
-- to store while the token stands flags it, and so does a token that runs out without an end. Its writer may fill
-- nothing then: what it wrote may be older than what the source holds.
local asked_ms
local function now_in_ms() -- asked once, since a script runs at one moment
  if not asked_ms then
    local clock = redis.call('TIME')
    asked_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  end
  return asked_ms
end

local function flagged(tokens)
  return (string.gsub(tokens, '~?([^,]+,)', '~%1'))
end

-- The living tokens of a mark but one, as text without the '!'; how many ms the last of them has left; and how the
-- one stands there: 'clean', 'flagged', 'gone' where it has run out, '' where it is not.
local function read_mark(mark, token)
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

-- The same; a write leaves one text in all that it marks, and a call is about one token: each text is read once.
local marks_read = {}
local function others(mark, token)
  if type(mark) ~= 'string' then
    return '', 0, ''
  end
  local read = marks_read[mark]
  if not read then
    read = {read_mark(mark, token)}
    marks_read[mark] = read
  end
  return read[1], read[2], read[3]
end

-- What stands at many names, in their order; false where it is no string. At most 1000, the names of a portion.
local function strings_at(names)
  return #names > 0 and redis.call('MGET', unpack(names)) or {}
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

-- 'number:lineage' as it stands in an entry that was packed before its stamp was known: always 29 bytes; '' if it cannot.
local function of_one_length(head)
  local number, lineage = string.match(head, '^(%d+):(%w+)$')
  local text = string.format('%016.0f', tonumber(number)) .. ':' .. lineage
  return #text == 29 and text or ''
end
