-- Record an adjustment, once. KEYS: meta, the adjustment, the grants of its scope. ARGV[2]: facts; ARGV[3]: the grants that the
-- client saw; ARGV[4]: those to put there instead.
-- Arguments from 3 on: id, now, kind, limbs of the amount, milliseconds to remember it, entries to keep, name, span.
-- Answers a list: what happened (1 known, 0 adjusted, nothing where others were there first), limbs of used and held, and the grants.
local _, _, id, now, kind, high, low, remember, longest, name, span = unpack(ARGUMENTS)
local known = redis.call('HMGET', KEYS[2], 'balance', 'grants')
if known[1] then
  return { 1, known[1], known[2] }
elseif (redis.call('GET', KEYS[3]) or '') ~= ARGV[3] then
  return false
end

local account = move(load(name, span), now)
local row = account.row
account.changed = true
if kind == 'set' then
  local used_high, used_low = row[USED_HIGH], row[USED_LOW]
  row[USED_HIGH], row[USED_LOW] = 0, 0
  redis.call('DEL', PREFIX .. 'b:' .. name)
  charge(account, high, low, now)
  high, low = minus(high, low, used_high, used_low)
elseif ARGV[4] ~= ARGV[3] then
  redis.call('SET', KEYS[3], ARGV[4])
end
save(account)

local balance = string.format('%.0f %.0f %.0f %.0f', unpack(row, 1, 4))
local entry = add_entries(now, kind, id, false, ARGV[2], '{}', { { name, high, low, 0, 0 } }, longest)
redis.call('HSET', KEYS[2], 'balance', balance, 'grants', ARGV[4], 'entry', entry)
redis.call('PEXPIRE', KEYS[2], text(remember))
return { 0, balance, ARGV[4] }
