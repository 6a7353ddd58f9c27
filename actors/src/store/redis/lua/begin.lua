-- begin
-- The rules of core::lease::begin.
-- ARGV 5 owner, 6 generation, 7 lease, 8 settle, 9 the epoch that is taken over or '', 10 what
-- tells this asking from another
local row = redis.call('HMGET', KEYS[1], 'g', 'e', 't', 'ie', 'ix', 'ip')
local generation, epoch, tomb, doubt, asking, follows = unpack(row, 1, 6)
if not generation or tomb then return {text(now), 'ended'} end
if generation ~= ARGV[6] then return {text(now), 'moved', generation} end
if doubt then
  -- An asking whose answer was lost finds its own intent.
  if asking == ARGV[10] then
    return {text(now), 'leased', redis.call('HMGET', KEYS[1], unpack(INTENT)), follows}
  end
  if doubt ~= ARGV[9] then
    return {text(now), 'busy', redis.call('HMGET', KEYS[1], unpack(INTENT))}
  end
end
follows = epoch
-- A doubt that the server has forgotten and the asker remembers.
local forgotten = given(ARGV[9]) and tonumber(ARGV[9]) > tonumber(follows)
epoch = text(math.max(tonumber(epoch) + 1, now))
local intent = {
  epoch, ARGV[5], ARGV[6], text(now), text(math.min(now + tonumber(ARGV[7]), 9007199254740991)),
  ARGV[8], (doubt or forgotten) and '1' or '0'
}
redis.call('HSET', KEYS[1], 'e', epoch, 'ix', ARGV[10], 'ip', follows)
for at, field in ipairs(INTENT) do redis.call('HSET', KEYS[1], field, intent[at]) end
redis.call('ZADD', KEYS[5], 0, key)
return {text(now), 'leased', intent, follows}
