-- The rules of core::lease::commit.
-- ARGV 5 sealed, 6 due, 7 person, 8 provider session, 9 the generation that was spent, 10 epoch,
-- 11 whether it was rotated
local row = redis.call('HMGET', KEYS[1], 'g', 'p', 'b', 'e', 't', 'ie', 'd', 'n', 'm')
local generation, parent, born_in, newest, tomb, doubt = unpack(row, 1, 6)
if tomb then return {text(now), 'ended'} end
if not generation then return {text(now), 'absent'} end
-- A write whose answer was lost finds its own record: no two are sealed alike.
if redis.call('GET', KEYS[2]) == ARGV[5] then return {text(now), 'kept', head()} end
local consumed, epoch, rotated = ARGV[9], ARGV[10], ARGV[11] == '1'
if not rotated and epoch ~= newest then return {text(now), 'superseded'} end
local spent, kept = tonumber(consumed), tonumber(generation)
local moves_on = spent == kept or (rotated and spent > kept)
local later_sibling = parent == consumed and tonumber(epoch) > tonumber(born_in)
if not (moves_on or (later_sibling and rotated)) then return {text(now), 'superseded'} end

if doubt and tonumber(doubt) <= tonumber(epoch) then
  redis.call('HDEL', KEYS[1], 'ix', 'ip', unpack(INTENT))
  redis.call('ZREM', KEYS[5], key)
end
if rotated then
  generation = text(math.max(kept, spent) + 1)
  redis.call('HSET', KEYS[1], 'g', generation, 'p', consumed, 'b', epoch)
  if tonumber(epoch) > tonumber(newest) then redis.call('HSET', KEYS[1], 'e', epoch) end
end
index(
  {due = row[7], person = row[8], provider_session = row[9]},
  {due = ARGV[6], person = ARGV[7], provider_session = ARGV[8]}
)
set('d', ARGV[6])
set('n', ARGV[7])
set('m', ARGV[8])
redis.call('SET', KEYS[2], ARGV[5])
tell()
return {text(now), 'accepted', head()}
