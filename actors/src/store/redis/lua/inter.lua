-- ARGV 5 why, 6 when or '' where that is unknown, 7 the last words, 8 what tells this asking from another
local row = redis.call('HMGET', KEYS[1], 'g', 't', 'x')
-- A tombstone whose answer was lost finds itself.
if row[2] and row[3] == ARGV[8] then return {text(now), 'interred'} end
if row[1] or row[2] then return {text(now), 'known'} end
local at = text(math.min(tonumber(given(ARGV[6]) or now), now))
redis.call('HSET', KEYS[1], 'g', '0', 'b', '0', 'e', '1', 't', ARGV[5], 'ta', at, 'x', ARGV[8])
if ARGV[7] ~= '' then redis.call('SET', KEYS[2], ARGV[7]) end
redis.call('ZADD', KEYS[6], 0, key)
redis.call('ZADD', KEYS[7], at, key)
tell()
return {text(now), 'interred'}
