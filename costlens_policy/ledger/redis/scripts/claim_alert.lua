-- Claim an alert. KEYS: meta, the alert, the pending alerts. ARGV from 3 on: its id, now, until when others do not see it, facts.
if redis.call('HSETNX', KEYS[2], 'at', ARGV[4]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'facts', ARGV[6], 'attempts', 1, 'problem', '')
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[3])
return 1
