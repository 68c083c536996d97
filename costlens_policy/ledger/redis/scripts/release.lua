-- Give back what is held. KEYS: meta, the call, the open calls. ARGV from 3 on: call, now. Returns what the call is now.
local known = redis.call('HMGET', KEYS[2], 'settled_at', 'released', 'end', 'lines')
if known[1] then
  return 'settled'
elseif not known[3] then
  return 'unknown'
elseif not known[2] then
  for _, line in ipairs(cmsgpack.unpack(known[4])) do
    local account = move(load(line[1], tonumber(known[3])), tonumber(ARGV[4]))
    unhold(account, line[10], line[2], line[3])
    save(account)
  end
  redis.call('HSET', KEYS[2], 'released', '1')
  redis.call('ZREM', KEYS[3], ARGV[3])
end
return 'released'
