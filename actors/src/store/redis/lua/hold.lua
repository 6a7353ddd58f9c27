-- Writes a lease again that the server has forgotten; where it has given another one since, or knows
-- what came of it, nothing happens.
-- ARGV 5.. the intent
local row = redis.call('HMGET', KEYS[1], 'g', 'e', 't')
local epoch, consumes = ARGV[5], ARGV[7]
if row[3] or row[1] ~= consumes or tonumber(row[2]) >= tonumber(epoch) then
  return {text(now), 'known'}
end
redis.call('HSET', KEYS[1], 'e', epoch)
redis.call('HDEL', KEYS[1], 'ix', 'ip')
for at, field in ipairs(INTENT) do set(field, ARGV[4 + at]) end
redis.call('ZADD', KEYS[5], 0, key)
return {text(now), 'held'}
