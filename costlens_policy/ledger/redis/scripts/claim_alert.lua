-- Claim an alert. KEYS: meta, the alert, the pending alerts. ARGV[2]: facts.
-- Arguments from 3 on: its id, now, until when others do not see it.
local _, _, id, now, visible_at = unpack(ARGUMENTS)
if redis.call('HSETNX', KEYS[2], 'at', text(now)) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'facts', ARGV[2], 'attempts', 1, 'problem', '')
redis.call('ZADD', KEYS[3], text(visible_at), id)
return 1
