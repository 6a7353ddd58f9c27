-- KEYS 1 a note, as it is read
-- ARGV 5 the version that was seen or '', 6 the new version, 7 the new text, 8 for how long it counts
local note = redis.call('GET', KEYS[1])
if note and (tonumber(string.sub(note, 17, 32)) or 0) <= now then note = nil end
local version = note and string.sub(note, 1, 16) or ''
-- A write whose answer was lost finds its own note: no two have one version.
if version == ARGV[6] then return {text(now), 'written'} end
if version ~= ARGV[5] then
  return {text(now), 'moved', note and version, note and string.sub(note, 33)}
end
local keep = tonumber(ARGV[8])
local head = ARGV[6] .. string.format('%016.0f', now + keep)
redis.call('SET', KEYS[1], head .. ARGV[7], 'PX', text(math.ceil(keep / 1000)))
return {text(now), 'written'}
