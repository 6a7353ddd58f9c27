-- Writes a lease again that the server has forgotten; where it knows of it, or of a later one, nothing
-- happens. The rules of core::lease::recall.
-- ARGV 5.. the intent
local row = redis.call('HMGET', KEYS[1], 'e', 't')
local epoch = ARGV[5]
if row[2] or not row[1] or tonumber(row[1]) >= tonumber(epoch) then
  return {text(now), 'known'}
end
redis.call('HSET', KEYS[1], 'e', epoch)
redis.call('HDEL', KEYS[1], 'ix', 'ip')
for at, field in ipairs(INTENT) do set(field, ARGV[4 + at]) end
redis.call('ZADD', KEYS[5], 0, key)
return {text(now), 'held'}
