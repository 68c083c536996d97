-- Take pending alerts. KEYS: clock, the pending alerts. Numbers: now, until when others do not see them, how many.
-- Answers for each: id, when claimed, facts, attempts before this one, what went wrong.
local found = {}
for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[2], '-inf', format('%d', NUMBERS[1]), 'LIMIT', 0, NUMBERS[3])) do
  local row = call('HMGET', PREFIX .. 'n:' .. id, 'at', 'facts', 'attempts', 'problem')
  found[#found + 1] = { id, row[1], row[2], row[3], row[4] }
  call('HINCRBY', PREFIX .. 'n:' .. id, 'attempts', 1)
  call('ZADD', KEYS[2], format('%d', NUMBERS[2]), id)
end
return found
