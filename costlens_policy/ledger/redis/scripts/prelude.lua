-- What every script begins with. Numbers in Lua are doubles: an amount is two limbs of base 1e15, each below 2^53.
--
-- KEYS[1] is the ledger's `meta`; all its keys share one hash tag, so those of accounts can be made from their names.
-- ARGV[1] is the id that the ledger had when the client opened it, ARGV[2] the prefix of all keys.

local PREFIX = ARGV[2]
local LIMB = 1e15
local SECOND = 1e6
local BUCKETS = 120
local KEPT_BUCKETS = 360

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return redis.error_reply('LEDGERGONE the ledger was emptied')
end

local function text(number)
  return string.format('%.0f', number)
end

local function plus(high, low, more_high, more_low)
  low = low + more_low
  high = high + more_high
  if low >= LIMB then
    return high + 1, low - LIMB
  end
  return high, low
end

local function minus(high, low, less_high, less_low)
  low = low - less_low
  high = high - less_high
  if low < 0 then
    return high - 1, low + LIMB
  end
  return high, low
end

local function at_most(high, low, limit_high, limit_low)
  return high < limit_high or (high == limit_high and low <= limit_low)
end

local function bucket_at(account, now)
  return math.floor(now / account.width)
end

-- Read an account, with what it holds until `second`. `width` is that of its buckets, 0 where its window does not roll.
local function load(name, second)
  local key = PREFIX .. 'a:' .. name
  local end_field = 'e' .. text(second)
  local row = redis.call('HMGET', key, 'uh', 'ul', 'hh', 'hl', 'g', 'n', 'c', 'w', end_field)
  return {
    name = name, key = key, exists = row[1] and true or false,
    used_high = tonumber(row[1] or 0), used_low = tonumber(row[2] or 0),
    held_high = tonumber(row[3] or 0), held_low = tonumber(row[4] or 0),
    generation = tonumber(row[5] or 0), next_end = tonumber(row[6] or '') or math.huge,
    bucket = tonumber(row[7] or '') or -1, width = tonumber(row[8] or 0),
    end_field = end_field, end_value = row[9], changes = {}, changed = false,
  }
end

-- The generation and the limbs of what is held until one second.
local function end_parts(value)
  local generation, high, low = string.match(value, '^(%d+):(%d+):(%d+)$')
  return tonumber(generation), tonumber(high), tonumber(low)
end

local function bucket_parts(value)
  local high, low = string.match(value, '^(%d+):(%d+)$')
  return tonumber(high), tonumber(low)
end

local function pairs_of(account)
  local row = redis.call('HGETALL', account.key)
  local index = -1
  return function()
    index = index + 2
    return row[index], row[index + 1]
  end
end

local function free(account, second)
  account.next_end = math.huge
  for field, value in pairs_of(account) do
    local ends_at = tonumber(string.match(field, '^e(%d+)$') or '')
    if ends_at and ends_at <= second then
      local _, high, low = end_parts(value)
      account.held_high, account.held_low = minus(account.held_high, account.held_low, high, low)
      redis.call('HDEL', account.key, field)
      if field == account.end_field then
        account.end_value = false
      end
    elseif ends_at and ends_at < account.next_end then
      account.next_end = ends_at
    end
  end
  account.generation = account.generation + 1
  account.changed = true
end

-- What counts in a rolling window while `bucket` is the present one, and which buckets there are.
local function used_in_window(account, bucket)
  local high, low, buckets = 0, 0, {}
  for field, value in pairs_of(account) do
    local index = tonumber(string.match(field, '^b(%d+)$') or '')
    if index then
      buckets[#buckets + 1] = index
      if index >= bucket - BUCKETS then
        high, low = plus(high, low, bucket_parts(value))
      end
    end
  end
  return high, low, buckets
end

local function roll(account, bucket)
  local high, low, buckets = used_in_window(account, bucket)
  if #buckets > KEPT_BUCKETS then
    table.sort(buckets)
    for index = 1, #buckets - KEPT_BUCKETS do
      redis.call('HDEL', account.key, 'b' .. text(buckets[index]))
    end
  end
  account.used_high, account.used_low, account.bucket = high, low, bucket
  account.changed = account.exists
end

-- Free what has expired, and move a rolling window to `now`, in microseconds.
local function move(account, now)
  local second = math.floor(now / SECOND)
  if second >= account.next_end then
    free(account, second)
  end
  if account.width > 0 and bucket_at(account, now) ~= account.bucket then
    roll(account, bucket_at(account, now))
  end
  return account
end

local function set_field(account, field, value)
  local changes = account.changes
  changes[#changes + 1] = field
  changes[#changes + 1] = value
  account.changed = true
end

-- Hold until the second for which the account was loaded. Returns the generation by which the hold is known.
local function hold(account, second, high, low)
  local generation, held_high, held_low = account.generation, 0, 0
  if account.end_value then
    generation, held_high, held_low = end_parts(account.end_value)
  end
  held_high, held_low = plus(held_high, held_low, high, low)
  account.end_value = text(generation) .. ':' .. text(held_high) .. ':' .. text(held_low)
  set_field(account, account.end_field, account.end_value)
  account.held_high, account.held_low = plus(account.held_high, account.held_low, high, low)
  account.next_end = math.min(account.next_end, second)
  return generation
end

-- Whether what was held until the second for which the account was loaded has not been freed.
local function counts(account, generation)
  return account.end_value and end_parts(account.end_value) == generation
end

local function unhold(account, generation, high, low)
  if not counts(account, generation) then
    return false
  end
  local _, held_high, held_low = end_parts(account.end_value)
  held_high, held_low = minus(held_high, held_low, high, low)
  account.end_value = text(generation) .. ':' .. text(held_high) .. ':' .. text(held_low)
  set_field(account, account.end_field, account.end_value)
  account.held_high, account.held_low = minus(account.held_high, account.held_low, high, low)
  return true
end

local function charge(account, high, low, at)
  account.used_high, account.used_low = plus(account.used_high, account.used_low, high, low)
  account.changed = true
  if account.width > 0 then
    local field = 'b' .. text(bucket_at(account, at))
    local value = redis.call('HGET', account.key, field)
    if value then
      high, low = plus(high, low, bucket_parts(value))
    end
    set_field(account, field, text(high) .. ':' .. text(low))
  end
end

-- Write back what has changed. `span` is start, reset and length of the period, for an account that is new.
local function save(account, span)
  if not account.changed then
    return
  end
  if not account.exists then
    for _, pair in ipairs(span) do
      set_field(account, pair[1], pair[2])
    end
    redis.call('ZADD', PREFIX .. 'accounts', 0, account.name)
    account.exists = true
  end
  local next_end = account.next_end == math.huge and '' or text(account.next_end)
  redis.call('HSET', account.key, 'uh', text(account.used_high), 'ul', text(account.used_low),
    'hh', text(account.held_high), 'hl', text(account.held_low), 'g', text(account.generation),
    'n', next_end, 'c', text(account.bucket), unpack(account.changes))
  account.changes, account.changed = {}, false
end

-- The parts of an account that never change, from four arguments of the script beginning at `index`.
local function span_at(index)
  return { { 's', ARGV[index] }, { 'r', ARGV[index + 1] }, { 'l', ARGV[index + 2] }, { 'w', ARGV[index + 3] } }
end

-- The limit in force, with what was granted on top of it or instead.
local function limit_in_force(scope, period, now, high, low)
  local grants = redis.call('GET', PREFIX .. 'g:' .. scope)
  if not grants then
    return high, low
  end
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

-- Write one entry for each line: name, limbs of the amount, limbs of what had been held. Ids follow a clock that never goes back.
local function add_entries(at, kind, source, late, facts, more_facts, lines, longest)
  local last = redis.call('HMGET', KEYS[1], 'ms', 'seq')
  local ms, last_ms, sequence = math.floor(at / 1000), tonumber(last[1] or 0), 0
  if ms <= last_ms then
    ms, sequence = last_ms, tonumber(last[2]) + 1
  end
  redis.call('HSET', KEYS[1], 'ms', text(ms), 'seq', text(sequence))
  local id, flat = text(ms) .. '-' .. text(sequence), {}
  for index, line in ipairs(lines) do
    flat[index] = table.concat(line, '\0')
    redis.call('XADD', PREFIX .. 'e:' .. line[1], 'MAXLEN', '~', longest, id, 'n', index - 1)
  end
  redis.call('XADD', PREFIX .. 'e', 'MAXLEN', '~', longest, id, 'at', text(at), 'kind', kind, 'source', source,
    'late', late, 'facts', facts, 'more', more_facts, 'lines', table.concat(flat, '\0'))
  return id
end
