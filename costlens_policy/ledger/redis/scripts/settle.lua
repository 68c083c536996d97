-- Replace what is held by what was charged, once. KEYS: meta, the call, the open calls.
-- ARGV from 3 on: call, now, facts, milliseconds to remember the call, entries to keep, '1' to accept an unknown call, number of
-- charges; then for each charge: scope, name, limbs of the amount, start, reset, length, width of its buckets.
-- Returns what happened ('settled', 'known', 'unknown'), whether late, when, and the lines: name, limbs of the amount, of what had
-- been held, of what is used and held after it.

local CHARGE = 8
local call, now = ARGV[3], tonumber(ARGV[4])

local known = redis.call('HMGET', KEYS[2], 'settled_at', 'late', 'charged', 'at', 'end', 'lines', 'released', 'facts')
if known[1] then
  return { 'known', known[2], known[1], cmsgpack.unpack(known[3]) }
end
if not known[4] and ARGV[8] ~= '1' then
  return { 'unknown' }
end

local charges, order = {}, {}
for number = 1, tonumber(ARGV[9]) do
  local at = 10 + (number - 1) * CHARGE
  order[number] = ARGV[at]
  charges[ARGV[at]] = { name = ARGV[at + 1], high = tonumber(ARGV[at + 2]), low = tonumber(ARGV[at + 3]), span = at + 4 }
end

local held = known[6] and cmsgpack.unpack(known[6]) or {}
local second = tonumber(known[5] or 0)
local at = math.max(now, tonumber(known[4] or 0))
local late = known[4] and (known[7] or now >= second * SECOND) or false
local lines, entries = {}, {}

local function add(account, charged, held_high, held_low, span)
  charge(account, charged and charged.high or 0, charged and charged.low or 0, at)
  save(account, span)
  lines[#lines + 1] = { account.name, charged and charged.high or 0, charged and charged.low or 0, held_high, held_low,
    account.used_high, account.used_low, account.held_high, account.held_low }
  if charged then
    entries[#entries + 1] = { account.name, text(charged.high), text(charged.low), text(held_high), text(held_low) }
  end
end

for _, line in ipairs(held) do
  local budget, _, unit, key = string.match(line[1], '^([^\31]*)\31([^\31]*)\31([^\31]*)\31(.*)$')
  local scope = budget .. '\31' .. unit .. '\31' .. key
  local account = move(load(line[1], second), now)
  if not known[7] and not unhold(account, line[10], line[2], line[3]) then
    late = true
  end
  add(account, charges[scope], line[2], line[3])
  charges[scope] = nil
end
for _, scope in ipairs(order) do
  local charged = charges[scope]
  if charged then
    local account = load(charged.name, 0)
    account.width = tonumber(ARGV[charged.span + 3])
    add(move(account, now), charged, 0, 0, span_at(charged.span))
  end
end

local fields = { 'settled_at', text(now), 'late', late and '1' or '', 'charged', cmsgpack.pack(lines) }
if #entries > 0 then
  fields[#fields + 1] = 'entry'
  fields[#fields + 1] = add_entries(
    now, 'charge', call, late and '1' or '', known[8] or '{}', ARGV[5], entries, ARGV[7])
end
redis.call('HSET', KEYS[2], unpack(fields))
redis.call('PEXPIREAT', KEYS[2], text(math.floor(now / 1000) + tonumber(ARGV[6])))
redis.call('ZREM', KEYS[3], call)
return { 'settled', late and '1' or '', text(now), lines }
