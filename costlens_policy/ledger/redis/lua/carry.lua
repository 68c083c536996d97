-- Carrying over; see `carrying.py`. ARGV[4] is there where a line carries over: JSON of rules, each an object: `line`, which line it is of;
-- `windows`, each the id of its period and the end of that (-1 for none), the latest first; `place`, that of the line's own window;
-- `counting`, how many count even if nothing was used in them; `share`, in millionths; `most`, in limbs; `periods`.
-- What is carried over has a third limb, of millionths: so a share of an amount is exact.
local MILLION = 1e6
local PART = 1e5

local function rules()
  local of_line = {}
  for _, rule in ipairs(ARGV[4] and cjson.decode(ARGV[4]) or {}) do
    of_line[rule.line] = rule
  end
  return of_line
end

-- A share of an amount, in millionths: limbs, and the rest. Limbs are taken apart, so that no product is too large for a double.
local function share_of(high, low, share)
  if share == MILLION then
    return high, low, 0
  end
  local parts, over, rest = {}, 0, 0
  for _, part in ipairs({ low % PART, floor(low / PART) % PART, floor(low / PART / PART),
    high % PART, floor(high / PART) % PART, floor(high / PART / PART) }) do
    local product = part * share + over
    over = floor(product / PART)
    parts[#parts + 1] = product - over * PART
  end
  rest = over
  for index = 6, 1, -1 do
    local number = rest * PART + parts[index]
    parts[index] = floor(number / MILLION)
    rest = number - parts[index] * MILLION
  end
  return (parts[6] * PART + parts[5]) * PART + parts[4], (parts[3] * PART + parts[2]) * PART + parts[1], rest
end

-- The place of the oldest window that counts for the one at a place, that place itself where none does: where anything was used or, if
-- `on_record` says so, where anything was ever held.
local function oldest_counted(rule, taken, ended, place, on_record)
  local last = math.min(place + rule.periods, #taken)
  for at = place + 1, last do
    if ended[at] then
      last = at - 1
      break
    end
  end
  while last > place and last > rule.counting
    and (not taken[last].on_record or not on_record and taken[last][1] == 0 and taken[last][2] == 0) do
    last = last - 1
  end
  return last
end

-- What the windows before the one at a place carry over into it, rounded down.
local function carried(rule, limit_high, limit_low, taken, ended, place, on_record)
  local high, low, rest = 0, 0, 0
  local most_high, most_low = rule.most[1], rule.most[2]
  for at = oldest_counted(rule, taken, ended, place, on_record), place + 1, -1 do
    local left_high, left_low = minus(limit_high, limit_low, taken[at][1], taken[at][2])
    if left_high < 0 then
      high, low = plus(high, low, left_high, left_low)
      if high < 0 then
        high, low, rest = 0, 0, 0
      end
    else
      local more_high, more_low, more_rest = share_of(left_high, left_low, rule.share)
      high, low = plus(high, low, more_high, more_low)
      rest = rest + more_rest
      if rest >= MILLION then
        high, low = plus(high, low, 0, 1)
        rest = rest - MILLION
      end
      if high > most_high or high == most_high and (low > most_low or low == most_low and rest > 0) then
        high, low, rest = most_high, most_low, 0
      end
    end
  end
  return high, low
end

local function is_less(high, low, than_high, than_low)
  return high < than_high or high == than_high and low < than_low
end

-- What each window of a rule has used and holds, and the periods of the windows.
local function windows_of(rule, account, now)
  local taken, periods = {}, {}
  local budget, rest = string.match(account.name, '^([^\31]*\31)[^\31]*(\31.*)$')
  for place, window in ipairs(rule.windows) do
    local other = account
    if place ~= rule.place then
      other = move(load(budget .. window[1] .. rest), now)
      save(other)
    end
    periods[place] = window[1]
    taken[place] = { plus(other[USED_HIGH], other[USED_LOW], other[HELD_HIGH], other[HELD_LOW]) }
    taken[place].on_record = other.exists or place == rule.place
  end
  return taken, periods
end

-- What grants do to windows: the override in force, the top-ups of each window, and which windows end under an override.
local function granted(rule, periods, grants, now)
  local override, topups, ended = nil, {}, {}
  for place in ipairs(periods) do
    topups[place] = { 0, 0 }
  end
  for _, grant in ipairs(grants and cjson.decode(grants) or {}) do
    local kind, high, low, ends_at, of = grant[1], grant[2], grant[3], grant[4], grant[5]
    local in_force = ends_at == cjson.null or now < ends_at
    for place, period in ipairs(periods) do
      local over = rule.windows[place][2]
      if kind == 'override' then
        ended[place] = ended[place]
          or over >= 0 and ends_at ~= cjson.null and over <= ends_at and (tonumber(of) or -1) < over
      elseif in_force and of == period then
        topups[place] = { plus(topups[place][1], topups[place][2], high, low) }
      end
    end
    if in_force and kind == 'override' then
      override = { high, low }
    end
  end
  return override, topups, ended
end

-- The limit in force of a line with what is carried over, and what earlier windows have used that counts for it as text. Where the hold
-- would take what a later window has spent, the limit is what its own window has taken, so that it has no room.
local function limit_with_carried(rule, account, grants, now, high, low, limit_high, limit_low)
  local taken, periods = windows_of(rule, account, now)
  local override, topups, ended = granted(rule, periods, grants, now)
  local own, earlier = rule.place, {}
  for at = own + 1, oldest_counted(rule, taken, ended, own) do
    earlier[#earlier + 1] = format('%d,%d', taken[at][1], taken[at][2])
  end
  earlier = table.concat(earlier, ' ')
  if limit_high < 0 then
    return limit_high, limit_low, earlier
  elseif override then
    limit_high, limit_low = plus(override[1], override[2], topups[own][1], topups[own][2])
    return limit_high, limit_low, earlier
  end
  local more_high, more_low = carried(rule, limit_high, limit_low, taken, ended, own)
  local own_high, own_low = plus(limit_high, limit_low, more_high, more_low)
  own_high, own_low = plus(own_high, own_low, topups[own][1], topups[own][2])
  local after = { unpack(taken) }
  after[own] = { plus(taken[own][1], taken[own][2], high, low) }
  after[own].on_record = true
  for place = 1, own - 1 do
    local spent_high, spent_low = minus(taken[place][1], taken[place][2], limit_high, limit_low)
    spent_high, spent_low = minus(spent_high, spent_low, topups[place][1], topups[place][2])
    if spent_high >= 0 and (spent_high > 0 or spent_low > 0) then
      local after_high, after_low = carried(rule, limit_high, limit_low, after, ended, place, true)
      local before_high, before_low = carried(rule, limit_high, limit_low, taken, ended, place, true)
      if is_less(after_high, after_low, spent_high, spent_low) and is_less(after_high, after_low, before_high, before_low)
        and is_less(taken[own][1], taken[own][2], own_high, own_low) then
        own_high, own_low = taken[own][1], taken[own][2]
      end
    end
  end
  return own_high, own_low, earlier
end
