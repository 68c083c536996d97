-- Hold every line, or none. KEYS: meta, the call, the open calls. ARGV[2]: facts.
-- Arguments from 3 on: call, now, end of the lease, milliseconds to remember the call, lines. A line is a list: name, scope, period,
-- span, limbs of the amount, limbs of the limit (without them there is none).
-- Answers a text of numbers: what happened (1 held, 0 refused), then for each line limbs of the limit (-1 for none), used and held.
-- For a call that is known it answers a list: its state, end, and lines.

local _, _, id, now, second, remember, asked = unpack(ARGUMENTS)

local known = load_call(KEYS[2])
if known then
  local state = known[SETTLED_AT] and 'settled' or known[RELEASED] and 'released' or 'held'
  local lines = {}
  for index, line in ipairs(known[LINES]) do
    lines[index] = { line[1], string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f', unpack(line, 2, 9)) }
  end
  return { state, known[ENDS_AT] or '', lines }
end

local accounts, lines, answer, room = {}, {}, { '1' }, true
for index, line in ipairs(asked) do
  local name, scope, period, span, high, low, limit_high, limit_low = unpack(line)
  local account = move(load(name, span), now)
  local row = account.row
  if limit_high then
    limit_high, limit_low = limit_in_force(scope, period, now, limit_high, limit_low)
    local sum_high, sum_low = plus(row[USED_HIGH], row[USED_LOW], row[HELD_HIGH], row[HELD_LOW])
    sum_high, sum_low = plus(sum_high, sum_low, high, low)
    room = room and at_most(sum_high, sum_low, limit_high, limit_low)
  else
    limit_high, limit_low = -1, 0
  end
  accounts[index] = account
  lines[index] = { name, high, low, limit_high, limit_low, row[USED_HIGH], row[USED_LOW], row[HELD_HIGH], row[HELD_LOW] }
  answer[index + 1] = string.format('%.0f %.0f %.0f %.0f %.0f %.0f', unpack(lines[index], 4))
end

if not room then
  answer[1] = '0'
end
for index, account in ipairs(accounts) do
  if room then
    lines[index][10] = hold(account, second, lines[index][2], lines[index][3])
  end
  save(account)
end
if room then
  save_call(KEYS[2], { now, second, ARGV[2], lines, false }, second * 1000 - math.floor(now / 1000) + remember)
  redis.call('ZADD', KEYS[3], second, id)
end
return table.concat(answer, ' ')
