-- What all scripts share.
--
-- KEYS  1 row   a hash: the head, the due time and the names; of a tombstone, why and when
--       2 text  the sealed record; of a tombstone, its last words
--       3 all, 4 due, 5 doubt, 6 tombs, 7 ended, 8 names: the indexes of the bucket
-- ARGV  1 the session's key, 2 the time to go by or '' for the server's own, 3 who asks,
--       4 the channel on which changes are told; what follows is the script's own.
--
-- Fields of a row: g generation, p parent, b born in, e epoch; ie io ic is iu it ia the intent's
-- epoch, owner, generation, since, until, settle, again, ip the epoch given before it, and ix what
-- tells one asking from another;
-- d due, n the person's name, m the provider session's name; t why it ended, ta when, and x what tells
-- one ending from another.
-- Moments are microseconds of the server's time. Numbers stay below 2^53, where Lua's are exact.

local key, asker, channel = ARGV[1], ARGV[3], ARGV[4]

local function text(number)
  return string.format('%.0f', number)
end

local now
if ARGV[2] ~= '' then
  now = tonumber(ARGV[2])
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local INTENT = {'ie', 'io', 'ic', 'is', 'iu', 'it', 'ia'}

-- The order in which a head is told.
local function head()
  return redis.call('HMGET', KEYS[1], 'g', 'p', 'b', 'e', unpack(INTENT))
end

local function due_member(due)
  return string.format('%016.0f', tonumber(due)) .. key
end

-- Moves an entry of an index from one member to another; where neither differs nothing is written.
local function move(place, before, after)
  if before == after then return end
  if before then redis.call('ZREM', place, before) end
  if after then redis.call('ZADD', place, 0, after) end
end

local function given(value)
  return value and value ~= '' and value or nil
end

-- Moves a living session in the index of due times and in that of names.
local function index(before, after)
  local function due(names) return given(names.due) and due_member(names.due) end
  local function name(value) return given(value) and value .. key end
  move(KEYS[4], due(before), due(after))
  move(KEYS[8], name(before.person), name(after.person))
  move(KEYS[8], name(before.provider_session), name(after.provider_session))
end

local function set(field, value)
  if value and value ~= '' then
    redis.call('HSET', KEYS[1], field, value)
  else
    redis.call('HDEL', KEYS[1], field)
  end
end

local function tell()
  redis.call('PUBLISH', channel, asker .. key)
end
