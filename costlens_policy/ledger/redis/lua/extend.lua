-- Make a lease last longer. KEYS: clock, the call, the open calls.
-- Texts: call. Numbers: now, the new end, milliseconds to remember the call. Answers what the call is, and the end.
local id, now, second = next_text(), NUMBERS[1], NUMBERS[2]
local known = call('GET', KEYS[2])
local reserved_at, ends_at, released, settled_at, shared, _, facts, _, lines = string.match(known or '', CALL)
if not known or ends_at == '' then
  return { 'unknown' }
end
local first = tonumber(ends_at)
if settled_at ~= '' or released ~= '' then
  return { settled_at ~= '' and 'settled' or 'released', ends_at }
elseif now >= first * SECOND then
  return { 'expired', ends_at }
end

local held, stands = {}, true
for name, high, low, generation in string.gmatch(lines, HELD_LINE) do
  local account = move(load(name), now)
  high, low, generation = tonumber(high), tonumber(low), tonumber(generation)
  local kept = call('HGET', PREFIX .. 'x:' .. name, ends_at)
  stands = stands and kept and struct.unpack('>d', kept) == generation
  held[#held + 1] = { account, high, low, generation }
end
local longer = stands and second > first
local generations, shares = {}, stands and shared == SHARED and sharing(now, NUMBERS[3])
for index, line in ipairs(held) do
  local account, high, low, generation = unpack(line)
  if longer then
    unhold(account, first, generation, high, low)
    generations[index] = hold(account, second, high, low)
  end
  if shares then
    shares.put_back(id, index, account)
  end
  save(account)
end
if not longer then
  return { stands and 'held' or 'expired', ends_at }
end
local index = 0
lines = string.gsub(lines, '([^%z]*%z%d+%z%d+%z%-?%d+%z%d+%z%d+%z%d+%z%d+%z%d+%z)%d+%z', function(line)
  index = index + 1
  return line .. format('%d', generations[index]) .. '\0'
end)
ends_at = format('%d', second)
save_call(KEYS[2], second * 1000 - floor(now / 1000) + NUMBERS[3], reserved_at, ends_at, '', '', shared, '', facts, lines, '')
if shares then
  call('PEXPIRE', PREFIX .. 'd:' .. id, format('%d', second * 1000 - floor(now / 1000) + NUMBERS[3]))
end
call('ZADD', KEYS[3], second, id)
return { 'held', ends_at }
