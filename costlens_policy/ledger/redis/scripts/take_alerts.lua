-- Take pending alerts. KEYS: meta, the pending alerts. Arguments from 3 on: now, until when others do not see them, how many.
-- Answers for each: id, when claimed, facts, attempts before this one, what went wrong.
local _, _, now, visible_at, limit = unpack(ARGUMENTS)
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, limit)) do
  local row = redis.call('HMGET', PREFIX .. 'n:' .. id, 'at', 'facts', 'attempts', 'problem')
  found[#found + 1] = { id, row[1], row[2], row[3], row[4] }
  redis.call('HINCRBY', PREFIX .. 'n:' .. id, 'attempts', 1)
  redis.call('ZADD', KEYS[2], text(visible_at), id)
end
return found
