-- Replace what is held by what was charged, once. KEYS: clock, the call, the open calls. ARGV[3]: facts.
-- Texts: call; for each charge scope and name. Numbers: now, milliseconds to remember the call, entries to keep, 1 to accept an unknown
-- call; for each charge limbs of the amount, width of buckets, start, reset, length.
-- Answers nothing for an unknown call; else whether known, whether late, when, and the lines charged.

local id, now = next_text(), NUMBERS[1]

local known = call('GET', KEYS[2])
local reserved_at, ends_at, released, settled_at, was_late, entry, facts, length, lines
if known then
  reserved_at, ends_at, released, settled_at, was_late, entry, facts, length, lines = string.match(known, CALL)
  if settled_at ~= '' then
    return '1\0' .. was_late .. '\0' .. settled_at .. '\0' .. string.sub(lines, tonumber(length) + 1)
  end
elseif NUMBERS[4] ~= 1 then
  return false
else
  reserved_at, ends_at, released, facts, lines = now, '', '', '{}', ''
end

local charges, order = {}, {}
for at = 5, #NUMBERS - 1, 6 do
  local scope = next_text()
  charges[scope] = { next_text(), at }
  order[#order + 1] = scope
end
local at = math.max(now, reserved_at)
local second = tonumber(ends_at)
local late = second and (released ~= '' or now >= second * SECOND)
local charged, names = {}, {}

local shares, place = was_late == SHARED and sharing(now, NUMBERS[2]), 0

local function add(account, of, held_high, held_low, stood)
  local high, low = 0, 0
  if of then
    high, low = NUMBERS[of], NUMBERS[of + 1]
    names[#names + 1] = account.name
  end
  if stood and shares then
    shares.put_back(id, place, account, high, low, held_high, held_low)
  end
  charge(account, high, low, at)
  save(account)
  charged[#charged + 1] = format('%s\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0', account.name, high, low, held_high, held_low,
    account[USED_HIGH], account[USED_LOW], account[HELD_HIGH], account[HELD_LOW], of and 1 or 0)
end

for name, high, low, generation in string.gmatch(lines, HELD_LINE) do
  local account = move(load(name), now)
  high, low = tonumber(high), tonumber(low)
  local stood = released == '' and unhold(account, second, tonumber(generation), high, low)
  late, place = late or released == '' and not stood, place + 1
  local scope = string.gsub(name, '\31[^\31]*', '', 1)
  local of = charges[scope]
  charges[scope] = nil
  add(account, of and of[2], high, low, stood)
end
for _, scope in ipairs(order) do
  local of = charges[scope]
  if of then
    add(move(load(of[1], of[2] + 2), now), of[2], 0, 0)
  end
end

late = late and '1' or ''
local result = table.concat(charged)
entry = #names > 0 and add_entry(now, 'charge', id, late, facts, ARGV[3], result, names, NUMBERS[3]) or ''
local settled = format('%d', now)
if entry ~= '' then
  facts = ''  -- the entry has them
elseif facts == '{}' then
  facts = ARGV[3]
elseif ARGV[3] ~= '{}' then
  facts = string.sub(facts, 1, -2) .. ',' .. string.sub(ARGV[3], 2)  -- of a name that comes twice, the last one counts
end
save_call(KEYS[2], NUMBERS[2], reserved_at, ends_at, released, settled, late, entry, facts, lines, result)
if second then
  call('ZREM', KEYS[3], id)
end
return '0\0' .. late .. '\0' .. settled .. '\0' .. result
