-- ARGV 5 the last words
if redis.call('HEXISTS', KEYS[1], 't') == 1 then redis.call('SET', KEYS[2], ARGV[5]) end
return {text(now)}
