-- Make a lease last longer. KEYS: meta, the call, the open calls.
-- ARGV from 3 on: call, now, the new end, milliseconds to remember the call. Returns what the call is, and the end.
local call, now, second = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local known = redis.call('HMGET', KEYS[2], 'settled_at', 'released', 'end', 'lines')
if not known[3] then
  return { 'unknown', '' }
end
local first = tonumber(known[3])
if known[1] or known[2] then
  return { known[1] and 'settled' or 'released', known[3] }
elseif now >= first * SECOND then
  return { 'expired', known[3] }
end

local lines, stands = cmsgpack.unpack(known[4]), true
for _, line in ipairs(lines) do
  local account = move(load(line[1], first), now)
  stands = stands and counts(account, line[10])
  save(account)
end
if not stands then
  return { 'expired', known[3] }
elseif second <= first then
  return { 'held', known[3] }
end
for _, line in ipairs(lines) do
  local account = load(line[1], first)
  unhold(account, line[10], line[2], line[3])
  save(account)
  account = load(line[1], second)
  line[10] = hold(account, second, line[2], line[3])
  save(account)
end
redis.call('HSET', KEYS[2], 'end', text(second), 'lines', cmsgpack.pack(lines))
redis.call('PEXPIREAT', KEYS[2], text(second * 1000 + tonumber(ARGV[6])))
redis.call('ZADD', KEYS[3], text(second), call)
return { 'held', text(second) }
