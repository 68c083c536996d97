-- Make the ledger, or find it. KEYS: meta. ARGV: the version of its keys, and the id for a new one. Returns version and id.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'id', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'version', 'id')
