-- ARGV 5 why, 6 what tells this asking from another
local row = redis.call('HMGET', KEYS[1], 't', 'd', 'n', 'm', 'x')
local told = head()
-- An end whose answer was lost finds its own tombstone.
if row[1] and row[5] == ARGV[6] then return {text(now), 'wiped before'} end
if row[1] or not told[1] then return {text(now), 'ended'} end
local sealed = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[1], KEYS[2])
local epoch = text(tonumber(told[4]) + 1)
redis.call('HSET', KEYS[1], 'g', told[1], 'b', told[3], 'e', epoch)
redis.call('HSET', KEYS[1], 't', ARGV[5], 'ta', text(now), 'x', ARGV[6])
index({due = row[2], person = row[3], provider_session = row[4]}, {})
redis.call('ZREM', KEYS[3], key)
redis.call('ZREM', KEYS[5], key)
redis.call('ZADD', KEYS[6], 0, key)
redis.call('ZADD', KEYS[7], text(now), key)
tell()
return {text(now), 'wiped', told, row[2], row[3], row[4], sealed}
