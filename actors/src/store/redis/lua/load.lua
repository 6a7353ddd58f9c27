local row = redis.call('HMGET', KEYS[1], 't', 'ta', 'd', 'n', 'm')
if row[1] then
  return {text(now), 'ended', row[1], row[2], redis.call('GET', KEYS[2])}
end
local told = head()
if not told[1] then return {text(now), 'absent'} end
return {text(now), 'living', told, row[3], row[4], row[5], redis.call('GET', KEYS[2])}
