-- Give back what is held. KEYS: clock, the call, the open calls. Texts: call. Numbers: now, milliseconds to remember the call, 1 to
-- remember also one that is unknown: a request to hold it may still be on its way. Answers what the call is now.
-- Shares that the call ends have ended, where it is remembered.
local id, now = next_text(), NUMBERS[1]
local known = call('GET', KEYS[2])
if NUMBERS[3] == 1 and call('EXISTS', PREFIX .. 'u:' .. id) == 1 then
  sharing(now, NUMBERS[2]).finish(id)
end
if not known and NUMBERS[3] == 1 then
  save_call(KEYS[2], NUMBERS[2], now, format('%d', floor(now / SECOND)), '1', '', '', '', '{}', '', '')
  return 'released'
elseif not known then
  return 'unknown'
end
local reserved_at, ends_at, released, settled_at, shared, _, facts, _, lines = string.match(known, CALL)
if settled_at ~= '' then
  return 'settled'
elseif released == '' then
  local shares, place = shared == SHARED and sharing(now, NUMBERS[2]), 0
  for name, high, low, generation in string.gmatch(lines, HELD_LINE) do
    local account = move(load(name), now)
    local stood = unhold(account, tonumber(ends_at), tonumber(generation), tonumber(high), tonumber(low))
    place = place + 1
    if shares and stood then
      shares.put_back(id, place, account, 0, 0, tonumber(high), tonumber(low))
    end
    save(account)
  end
  local remember = ends_at * 1000 - floor(reserved_at / 1000) + NUMBERS[2]
  save_call(KEYS[2], remember, reserved_at, ends_at, '1', '', '', '', facts, lines, '')
  call('ZREM', KEYS[3], id)
end
return 'released'
