-- Hold every line, or none. KEYS: meta, the call, the open calls.
-- ARGV from 3 on: call, now, end of the lease, facts, milliseconds to remember the call, number of lines; then for each line:
-- name, limbs of the amount, limbs of the limit ('' for none), scope, period, start, reset, length, width of its buckets.
-- Returns what happened ('held', 'refused', 'known') and the lines: limbs of limit (-1 for none), used, and held.

local LINE = 11
local call, now, second = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local known = redis.call('HMGET', KEYS[2], 'end', 'lines', 'released', 'settled_at')
if known[1] or known[4] then
  return { 'known', known[1] or '', known[3] or '', known[4] or '', known[2] and cmsgpack.unpack(known[2]) or {} }
end

local accounts, states, room = {}, {}, true
for line = 1, tonumber(ARGV[8]) do
  local at = 9 + (line - 1) * LINE
  local high, low = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local account = load(ARGV[at], second)
  account.width = tonumber(ARGV[at + 10])
  move(account, now)
  local limit_high, limit_low = -1, 0
  if ARGV[at + 3] ~= '' then
    limit_high, limit_low = limit_in_force(
      ARGV[at + 5], ARGV[at + 6], now, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    local sum_high, sum_low = plus(account.used_high, account.used_low, account.held_high, account.held_low)
    sum_high, sum_low = plus(sum_high, sum_low, high, low)
    room = room and at_most(sum_high, sum_low, limit_high, limit_low)
  end
  accounts[line] = account
  states[line] = { account.name, high, low, limit_high, limit_low,
    account.used_high, account.used_low, account.held_high, account.held_low }
end

for line, account in ipairs(accounts) do
  local state = states[line]
  if room then
    state[10] = hold(account, second, state[2], state[3])
  end
  if room or account.exists then
    save(account, span_at(9 + (line - 1) * LINE + 7))
  end
end
if not room then
  return { 'refused', states }
end
redis.call('HSET', KEYS[2], 'at', text(now), 'end', text(second), 'facts', ARGV[6], 'lines', cmsgpack.pack(states))
redis.call('PEXPIREAT', KEYS[2], text(second * 1000 + tonumber(ARGV[7])))
redis.call('ZADD', KEYS[3], text(second), call)
return { 'held', states }
