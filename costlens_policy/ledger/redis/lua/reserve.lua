-- Hold every line, or none. KEYS: clock, the call, the open calls, calls that bar it. ARGV[3]: facts; ARGV[4]: see `carry.lua`.
-- Texts: call; for each line name, scope, period. Numbers: now, end of the lease, milliseconds to remember the call; for each line limbs of
-- the amount, limbs of the limit (-1 for none), width of buckets, start, reset, length.
-- Answers what happened ('1' held, '0' refused, '2' barred, and by which), and behind a colon when windows from first use began, where
-- an account has one; where a line carries over, for each line a slash and what its earlier windows have used that counts for it; or of a
-- call that is known its state and end; then the lines held.

local id, now, second = next_text(), NUMBERS[1], NUMBERS[2]

local known = call('GET', KEYS[2])
if known then
  local _, ends_at, released, settled_at, _, _, _, length, lines = string.match(known, CALL)
  local state = settled_at ~= '' and 'settled' or released ~= '' and 'released' or 'held'
  return state .. '\0' .. ends_at .. '\0' .. string.sub(lines, 1, tonumber(length))
end

for at = 4, #KEYS do
  if call('EXISTS', KEYS[at]) == 1 then
    return '2\0' .. (at - 4)
  end
end

-- The limit in force, with what was granted on top of it or instead.
local function limit_in_force(grants, period, high, low)
  local top_high, top_low = 0, 0
  for _, grant in ipairs(cjson.decode(grants)) do
    local kind, grant_high, grant_low, ends_at, of = grant[1], grant[2], grant[3], grant[4], grant[5]
    if ends_at == cjson.null or now < ends_at then
      if kind == 'override' then
        high, low = grant_high, grant_low
      elseif of == period then
        top_high, top_low = plus(top_high, top_low, grant_high, grant_low)
      end
    end
  end
  return plus(high, low, top_high, top_low)
end

local accounts, limits, room = {}, {}, true
local rule_of, earlier = rules(), {}
for at = 4, #NUMBERS - 1, 8 do
  local account = move(load(next_text(), at + 4), now)
  local scope, period = next_text(), next_text()
  local limit_high, limit_low = NUMBERS[at + 2], NUMBERS[at + 3]
  local rule = rule_of[#accounts + 1]
  local grants = (rule or limit_high >= 0) and call('GET', PREFIX .. 'g:' .. scope)
  if rule then
    limit_high, limit_low, earlier[#accounts + 1] =
      limit_with_carried(rule, account, grants, now, NUMBERS[at], NUMBERS[at + 1], limit_high, limit_low)
  elseif grants then
    limit_high, limit_low = limit_in_force(grants, period, limit_high, limit_low)
  end
  if limit_high >= 0 then
    local high, low = plus(account[USED_HIGH], account[USED_LOW], account[HELD_HIGH], account[HELD_LOW])
    high, low = plus(high, low, NUMBERS[at], NUMBERS[at + 1])
    room = room and (high < limit_high or high == limit_high and low <= limit_low)
  end
  accounts[#accounts + 1] = account
  limits[#limits + 1] = limit_high
  limits[#limits + 1] = limit_low
end

local lines, at, starts, windowed = {}, 4, {}, false
for index, account in ipairs(accounts) do
  local high, low = NUMBERS[at], NUMBERS[at + 1]
  local used_high, used_low, held_high, held_low = unpack(account, 1, 4)
  if room then
    begin(account, now)
  end
  local generation = room and hold(account, second, high, low) or 0
  windowed = windowed or account[WIDTH] < 0
  starts[index] = format('%d', account[WIDTH] < 0 and account[BUCKET] or -1)
  save(account)
  lines[index] = format('%s\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0%d\0', account.name, high, low,
    limits[2 * index - 1], limits[2 * index], used_high, used_low, held_high, held_low, generation)
  at = at + 8
end
local held = table.concat(lines)
local windows = (windowed and ':' .. table.concat(starts, ',') or '')
for index in ipairs(ARGV[4] and accounts or {}) do
  windows = windows .. '/' .. (earlier[index] or '')
end
windows = windows .. '\0'
if not room then
  return '0' .. windows .. held
end
save_call(KEYS[2], second * 1000 - floor(now / 1000) + NUMBERS[3], now, format('%d', second), '', '', '', '', ARGV[3], held, '')
call('ZADD', KEYS[3], second, id)
return '1' .. windows .. held
