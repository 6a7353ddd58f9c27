-- ARGV 5 sealed, 6 due, 7 person, 8 provider session, 9.. the head as it is told
local row = redis.call('HMGET', KEYS[1], 'g', 't')
if row[1] or row[2] then
  -- A creation whose answer was lost finds its own record.
  if row[1] and not row[2] and redis.call('GET', KEYS[2]) == ARGV[5] then
    return {text(now), 'kept'}
  end
  return {text(now), 'exists'}
end
redis.call('HSET', KEYS[1], 'g', ARGV[9], 'b', ARGV[11], 'e', ARGV[12], 'n', ARGV[7])
set('p', ARGV[10])
if ARGV[13] ~= '' then
  for at, field in ipairs(INTENT) do set(field, ARGV[12 + at]) end
  redis.call('ZADD', KEYS[5], 0, key)
end
set('d', ARGV[6])
set('m', ARGV[8])
redis.call('SET', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[3], 0, key)
index({}, {due = ARGV[6], person = ARGV[7], provider_session = ARGV[8]})
return {text(now), 'created'}
