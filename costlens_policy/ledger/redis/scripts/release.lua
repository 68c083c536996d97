-- Give back what is held. KEYS: meta, the call, the open calls. Arguments from 3 on: call, now, milliseconds to remember the call.
-- Answers what the call is now.
local _, _, id, now, remember = unpack(ARGUMENTS)
local call = load_call(KEYS[2])
if not call then
  return 'unknown'
elseif call[SETTLED_AT] then
  return 'settled'
elseif not call[RELEASED] then
  for _, line in ipairs(call[LINES]) do
    local account = move(load(line[1]), now)
    unhold(account, call[ENDS_AT], line[10], line[2], line[3])
    save(account)
  end
  call[RELEASED] = true
  save_call(KEYS[2], call, call[ENDS_AT] * 1000 - math.floor(call[AT] / 1000) + remember)
  redis.call('ZREM', KEYS[3], id)
end
return 'released'
