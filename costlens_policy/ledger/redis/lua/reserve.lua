-- Hold every line, or none. KEYS: clock, the call, the open calls, calls that bar it. ARGV[3]: facts; ARGV[4]: see `carry.lua`. ARGV[5]: the
-- shares of the call, if there are any, as JSON: the line that is a share, the line of which it is one, its lease in microseconds, the calls
-- that end it.
-- Texts: call; for each line name, scope, period. Numbers: now, end of the lease, milliseconds to remember the call; for each line limbs of
-- the amount, limbs of the limit (-1 for none), width of buckets, start, reset, length.
-- Answers what happened ('1' held, '0' refused, '2' barred, and by which), and behind a colon when windows from first use began, where
-- an account has one; where a line carries over, for each line a slash and what its earlier windows have used that counts for it; or of a
-- call that is known its state and end; then, where shares are given, what they do to lines and a bar; then the lines held.

local id, now, second = next_text(), NUMBERS[1], NUMBERS[2]

local known = call('GET', KEYS[2])
if known then
  local _, ends_at, released, settled_at, _, _, _, length, lines = string.match(known, CALL)
  local state = settled_at ~= '' and 'settled' or released ~= '' and 'released' or 'held'
  local shared = ARGV[5] and string.match(call('GET', PREFIX .. 'd:' .. id) or '', '^[%d%z]*') .. '|' or ''
  return state .. '\0' .. ends_at .. '\0' .. shared .. string.sub(lines, 1, tonumber(length))
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
    -- What shares set aside beside a call is not known yet, so with them nothing may be taken from a later window.
    local high, low = ARGV[5] and LIMB or NUMBERS[at], ARGV[5] and 0 or NUMBERS[at + 1]
    limit_high, limit_low, earlier[#accounts + 1] =
      limit_with_carried(rule, account, grants, now, high, low, limit_high, limit_low)
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

-- What a call takes of its shares, with what that does to the lines; and whether all of them have room.
local function draw_on(shares)
  local draws, own, drawn, aside, shared = {}, {}, {}, {}, {}
  for _, share in ipairs(cjson.decode(ARGV[5])) do
    local place, of = share[1], share[2]
    local owner, account, first = accounts[place], accounts[of], 4 + 8 * (of - 1)
    local limit_high, limit_low = limits[2 * place - 1], limits[2 * place]
    if limit_high >= 0 then
      local found = shares.find(owner.name, account.name)
      local ends = #share[4] > 0 and table.concat(share[4], '\0') .. '\0' or ''
      local it = found or { lease = share[3], ends = ends }
      local high, low = it.high, it.low
      if not found then
        high, low = minus(limit_high, limit_low, owner[USED_HIGH], owner[USED_LOW])
        high, low = minus(high, low, owner[HELD_HIGH], owner[HELD_LOW])
        high, low = plus(high, low, shares.set_aside(owner.name))
        if high < 0 then
          high, low = 0, 0
        end
      end
      local taken_high, taken_low = shares.least(high, low, NUMBERS[first], NUMBERS[first + 1])
      local left_high, left_low = minus(high, low, taken_high, taken_low)
      own[of], drawn[of], aside[of] = own[of] or { 0, 0 }, drawn[of] or { 0, 0 }, aside[of] or { 0, 0 }
      if found then
        own[of] = { plus(own[of][1], own[of][2], high, low) }
        drawn[of] = { plus(drawn[of][1], drawn[of][2], taken_high, taken_low) }
      else
        aside[of] = { plus(aside[of][1], aside[of][2], left_high, left_low) }
      end
      draws[#draws + 1] = { of, owner.name, taken_high, taken_low, it, left_high, left_low }
    end
  end
  room = true
  for of, account in ipairs(accounts) do
    local limit_high, limit_low, first = limits[2 * of - 1], limits[2 * of], 4 + 8 * (of - 1)
    local high, low = plus(account[USED_HIGH], account[USED_LOW], account[HELD_HIGH], account[HELD_LOW])
    high, low = plus(high, low, NUMBERS[first], NUMBERS[first + 1])
    if own[of] then
      high, low = minus(high, low, own[of][1], own[of][2])
      high, low = plus(high, low, aside[of][1], aside[of][2])
      shared[#shared + 1] = format('%d\0%d\0%d\0%d\0%d\0%d\0%d\0',
        of, own[of][1], own[of][2], drawn[of][1], drawn[of][2], aside[of][1], aside[of][2])
    end
    room = room and (limit_high < 0 or high < limit_high or high == limit_high and low <= limit_low)
  end
  return draws, table.concat(shared) .. '|'
end

local shares = ARGV[5] and sharing(now, NUMBERS[3])
local draws, shared = {}, ''
if shares then
  draws, shared = draw_on(shares)
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
  for _, draw in ipairs(draws) do
    if room and draw[1] == index then
      if not draw[5].second then
        shares.leave(draw[2], account.name, accounts)
      end
      shares.put(draw[2], account, draw[5], draw[6], draw[7])
    end
  end
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
  return '0' .. windows .. shared .. held
end
local remember = second * 1000 - floor(now / 1000) + NUMBERS[3]
if #draws > 0 then
  local drawn = {}
  for index, draw in ipairs(draws) do
    drawn[index] = format('%d\0%s\0%d\0%d\0', draw[1], draw[2], draw[3], draw[4])
  end
  call('SET', PREFIX .. 'd:' .. id, shared .. table.concat(drawn), 'PX', format('%d', remember))
end
save_call(KEYS[2], remember, now, format('%d', second), '', '', #draws > 0 and SHARED or '', '', ARGV[3], held, '')
call('ZADD', KEYS[3], second, id)
return '1' .. windows .. shared .. held
