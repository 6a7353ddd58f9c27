-- ARGV 5 the moment until which a tombstone must have been there to be old
local row = redis.call('HMGET', KEYS[1], 't', 'ta')
if not row[1] or tonumber(row[2]) > tonumber(ARGV[5]) then return {text(now), 'kept'} end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[6], key)
redis.call('ZREM', KEYS[7], key)
return {text(now), 'swept'}
