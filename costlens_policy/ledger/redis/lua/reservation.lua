-- Read one call. KEYS: clock, the call.
-- Answers nothing for an unknown call; else when reserved, its end, whether released, when settled, whether late, facts of its hold
-- and of its charge, the lines held, the lines charged; then of each line start, reset and length of its account's period.
local known = call('GET', KEYS[2])
if not known then
  return false
end
local reserved_at, ends_at, released, settled_at, late, entry, facts, length, lines = string.match(known, CALL)
local more_facts = '{}'
if entry ~= '' then
  local found = call('XRANGE', PREFIX .. 'e', entry, entry)[1]
  if found then
    facts, more_facts = string.match(found[2][2], '^%d+%z[^%z]*%z[^%z]*%z%d*%z([^%z]*)%z([^%z]*)%z')
  end
end
length = tonumber(length)
local answer = { reserved_at, ends_at, released, settled_at, late, facts ~= '' and facts or '{}', more_facts,
  string.sub(lines, 1, length), string.sub(lines, length + 1) }
for name in string.gmatch(lines, '([^%z]*)' .. string.rep('%z[^%z]*', 9) .. '%z') do
  answer[#answer + 1] = format('%d\0%d\0%d\0', unpack(load(name), START, START + 2))
end
return answer
