-- Replace what is held by what was charged, once. KEYS: meta, the call, the open calls. ARGV[2]: facts.
-- Arguments from 3 on: call, now, milliseconds to remember the call, entries to keep, whether to accept an unknown call, charges.
-- A charge is a list: scope, name, span, limbs of the amount.
-- Answers nothing for an unknown call; else a list: whether known, whether late, when, and for each line in a row its name and a text
-- of limbs: of the amount, what had been held, used and held after it.

local _, _, id, now, remember, longest, or_unknown, asked = unpack(ARGUMENTS)

local call = load_call(KEYS[2])
if call and call[SETTLED_AT] then
  return { 1, call[LATE] and 1 or 0, text(call[SETTLED_AT]), unpack(call[CHARGED]) }
elseif not call then
  if not or_unknown then
    return false
  end
  call = { now, false, '{}', {}, false }
end

local charges = {}
for _, charged in ipairs(asked) do
  charges[charged[1]] = charged
end
local at = math.max(now, call[AT])
local second = call[ENDS_AT]
local late = second and (call[RELEASED] or now >= second * SECOND) or false
local answer, entries = {}, {}

local function add(account, charged, held_high, held_low)
  local high, low = charged and charged[4] or 0, charged and charged[5] or 0
  local row = account.row
  charge(account, high, low, at)
  save(account)
  answer[#answer + 1] = account.name
  answer[#answer + 1] = string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f', high, low, held_high, held_low, unpack(row, 1, 4))
  if charged then
    entries[#entries + 1] = { account.name, high, low, held_high, held_low }
  end
end

for _, line in ipairs(call[LINES]) do
  local budget, unit, key = string.match(line[1], '^([^\31]*)\31[^\31]*\31([^\31]*)\31(.*)$')
  local scope = budget .. '\31' .. unit .. '\31' .. key
  local account = move(load(line[1]), now)
  if not call[RELEASED] and not unhold(account, second, line[10], line[2], line[3]) then
    late = true
  end
  add(account, charges[scope], line[2], line[3])
  charges[scope] = nil
end
for _, charged in ipairs(asked) do
  if charges[charged[1]] then
    add(move(load(charged[2], charged[3]), now), charged, 0, 0)
  end
end

call[SETTLED_AT], call[LATE], call[CHARGED] = now, late, answer
call[ENTRY] = #entries > 0 and add_entries(now, 'charge', id, late, call[FACTS], ARGV[2], entries, longest)
call[FACTS] = ''
save_call(KEYS[2], call, remember)
if second then
  redis.call('ZREM', KEYS[3], id)
end
return { 0, late and 1 or 0, text(now), unpack(answer) }
