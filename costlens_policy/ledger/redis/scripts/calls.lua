-- Read calls. KEYS: meta. ARGV from 3 on: their ids. Returns for each: when reserved, its end, facts, lines; nothing for one that is gone.
local found = {}
for index = 3, #ARGV do
  local row = redis.call('HMGET', PREFIX .. 'c:' .. ARGV[index], 'at', 'end', 'facts', 'lines')
  found[#found + 1] = row[4] and { row[1], row[2], row[3], cmsgpack.unpack(row[4]) } or {}
end
return found
