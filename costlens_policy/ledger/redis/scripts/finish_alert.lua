-- Report on a delivery. KEYS: meta, the alert, the pending alerts.
-- ARGV from 3 on: its id, when to try again ('' where it was delivered), what went wrong.
if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then
  return 0
end
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[3], ARGV[3])
else
  redis.call('HSET', KEYS[2], 'problem', ARGV[5])
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
end
return 1
