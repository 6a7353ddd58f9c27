-- KEYS 1 a note: its version (16 bytes), until when it counts (16 digits of microseconds), its text
local note = redis.call('GET', KEYS[1])
if not note or (tonumber(string.sub(note, 17, 32)) or 0) <= now then return {text(now), 'none'} end
return {text(now), 'note', string.sub(note, 1, 16), string.sub(note, 33)}
