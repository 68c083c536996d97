-- Make the ledger, or find it. KEYS: clock, version. ARGV: the version of its keys, and the id for a new one.
-- Answers version and id, or nothing where the server's integers are too narrow.
if string.format('%d', 2 ^ 52 + 1) ~= '4503599627370497' then
  return false
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[2], ARGV[1])
  redis.call('SET', KEYS[1], ARGV[2] .. ':0:0:0')
end
return { redis.call('GET', KEYS[2]), string.match(redis.call('GET', KEYS[1]), '^%x+') }
