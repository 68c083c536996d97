-- Record an adjustment, once. KEYS: clock, the adjustment, the grants of its scope. ARGV[3]: facts; ARGV[4]: the grants that the client
-- saw; ARGV[5]: those to put there instead.
-- Texts: id, kind, name. Numbers: now, limbs of the amount, milliseconds to remember it, entries to keep, width, start, reset, length.
-- Answers a list: what happened (1 known, 0 adjusted, 2 a correction that would leave less than nothing; no list where others were there
-- first), limbs of used and held, and the grants.

-- The high limb of what is used once a correction counts, changing nothing but the account in hand.
local function used_after(account, now, high, low)
  if account[WIDTH] < 0 then
    account[BUCKET], account[USED_HIGH], account[USED_LOW] = window_at(account, now)
  elseif account[WIDTH] > 0 and floor(now / account[WIDTH]) ~= account[BUCKET] then
    account[USED_HIGH], account[USED_LOW] = used_in_window(account, floor(now / account[WIDTH]))
  end
  local used_high = plus(account[USED_HIGH], account[USED_LOW], high, low)
  return used_high
end

local id, kind, name = next_text(), next_text(), next_text()
local now, high, low = NUMBERS[1], NUMBERS[2], NUMBERS[3]
local known = call('HMGET', KEYS[2], 'balance', 'grants')
if known[1] then
  return { 1, known[1], known[2] }
elseif (call('GET', KEYS[3]) or '') ~= ARGV[4] then
  return false
end

local account = load(name, 6)
if kind == 'correct' and used_after(account, now, high, low) < 0 then
  return { 2, format('%d\0%d\0%d\0%d\0', unpack(account, 1, 4)), ARGV[4] }
end
move(account, now)
account.changed = true
if kind == 'set' then
  local used_high, used_low = account[USED_HIGH], account[USED_LOW]
  clear(account)
  charge(account, high, low, now)
  high, low = minus(high, low, used_high, used_low)
elseif kind == 'correct' then
  local used_high, used_low = plus(account[USED_HIGH], account[USED_LOW], high, low)
  if high >= 0 then
    charge(account, high, low, now)
  else
    clear(account)
    charge(account, used_high, used_low, now)
  end
elseif ARGV[5] ~= ARGV[4] then
  call('SET', KEYS[3], ARGV[5])
end
save(account)

local balance = format('%d\0%d\0%d\0%d\0', unpack(account, 1, 4))
local line = format('%s\0%d\0%d\0000\0000\0000\0000\0000\0000\0001\0', name, high, low)
local entry = add_entry(now, kind, id, '', ARGV[3], '{}', line, { name }, NUMBERS[5])
call('HSET', KEYS[2], 'balance', balance, 'grants', ARGV[5], 'entry', entry)
call('PEXPIRE', KEYS[2], format('%d', NUMBERS[4]))
return { 0, balance, ARGV[5] }
