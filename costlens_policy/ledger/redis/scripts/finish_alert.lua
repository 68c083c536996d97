-- Report on a delivery. KEYS: meta, the alert, the pending alerts.
-- Arguments from 3 on: its id, when to try again (0 where it was delivered), what went wrong.
local _, _, id, retry_at, problem = unpack(ARGUMENTS)
if not redis.call('ZSCORE', KEYS[3], id) then
  return 0
end
if retry_at == 0 then
  redis.call('ZREM', KEYS[3], id)
else
  redis.call('HSET', KEYS[2], 'problem', problem)
  redis.call('ZADD', KEYS[3], text(retry_at), id)
end
return 1
