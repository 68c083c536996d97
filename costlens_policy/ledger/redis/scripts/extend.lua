-- Make a lease last longer. KEYS: meta, the call, the open calls.
-- Arguments from 3 on: call, now, the new end, milliseconds to remember the call. Answers what the call is, and the end.
local _, _, id, now, second, remember = unpack(ARGUMENTS)
local call = load_call(KEYS[2])
if not call or not call[ENDS_AT] then
  return { 'unknown' }
end
local first = call[ENDS_AT]
if call[SETTLED_AT] or call[RELEASED] then
  return { call[SETTLED_AT] and 'settled' or 'released', text(first) }
elseif now >= first * SECOND then
  return { 'expired', text(first) }
end

local accounts, stands = {}, true
for index, line in ipairs(call[LINES]) do
  accounts[index] = move(load(line[1]), now)
  stands = stands and counts(accounts[index], first, line[10])
end
local longer = stands and second > first
for index, line in ipairs(call[LINES]) do
  if longer then
    unhold(accounts[index], first, line[10], line[2], line[3])
    line[10] = hold(accounts[index], second, line[2], line[3])
  end
  save(accounts[index])
end
if not longer then
  return { stands and 'held' or 'expired', text(first) }
end
call[ENDS_AT] = second
save_call(KEYS[2], call, second * 1000 - math.floor(now / 1000) + remember)
redis.call('ZADD', KEYS[3], second, id)
return { 'held', text(second) }
